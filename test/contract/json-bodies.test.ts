import t from 'tap'
import { join, openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

t.test('an empty body with a JSON content type is no body (DELETE included)', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const { status } = await send('DELETE', `${url}/rooms/${room.code}/leave/alice`, { headers: JSON_TYPE })
  t.equal(status, 200)
})

t.test('an empty body with a JSON content type and a length of 0 is no body', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const headers = { ...JSON_TYPE, 'content-length': '0' }
  t.equal((await send('DELETE', `${url}/rooms/${room.code}/leave/alice`, { headers })).status, 200)
})

t.test('an empty body with a JSON content type, chunked, is no body', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const headers = { ...JSON_TYPE, 'transfer-encoding': 'chunked' }
  t.equal((await send('DELETE', `${url}/rooms/${room.code}/leave/alice`, { headers })).status, 200)
})

t.test('an empty body where fields are needed is a lack of fields, not bad JSON', async (t) => {
  const { url } = await startHub(t)
  const { status, text } = await send('POST', `${url}/rooms`, { headers: JSON_TYPE })
  t.equal(status, 400)
  t.strictSame(JSON.parse(text), { error: 'Name is required' })
})

t.test('GET with a JSON content type and no body answers as without', async (t) => {
  const { url } = await startHub(t)
  for (const path of ['/health', '/rooms'])
    t.equal((await send('GET', `${url}${path}`, { headers: JSON_TYPE })).status, 200)
})

t.test('the base routes read JSON whatever the content type says', async (t) => {
  const { url } = await startHub(t)
  const types = [
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-8',
    'application/vnd.api+json',
    'application/octet-stream',
  ]
  for (const type of types) {
    const answer = await send('POST', `${url}/rooms`, { headers: { 'content-type': type }, body: '{"name":"Kitchen"}' })
    t.equal(answer.status, 201, type)
  }
})

t.test('the base routes read JSON where the content type says nothing, or nothing that is one', async (t) => {
  const { url } = await startHub(t)
  for (const headers of [{}, { 'content-type': 'json' }, { 'content-type': '' }, { 'content-type': ';;' }]) {
    const answer = await send('POST', `${url}/rooms`, { headers, body: '{"name":"Kitchen"}' })
    t.equal(answer.status, 201, JSON.stringify(headers))
  }
})

t.test('every route with a body reads JSON whatever the content type says', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const alice = { id: 'alice', nickname: 'Alice', model: 'm', endpoint: 'http://127.0.0.1:1' }
  const base = `${url}/rooms/${room.code}`
  t.equal((await send('POST', `${base}/join`, { headers, body: JSON.stringify(alice) })).status, 201)
  t.equal((await send('POST', `${base}/health`, { headers, body: '{"id":"alice"}' })).status, 200)
  t.equal((await send('DELETE', `${base}/leave/alice`, { headers, body: '{}' })).status, 200)
})

t.test('invalid JSON is a 400 with a sentence, never a 500', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const bodies = ['{', '{"name":', 'name=Kitchen', '{"name":"Kitchen"} x', "{'name':'x'}", '\u0000', 'undefined', '[1,']
  for (const path of ['/rooms', `/rooms/${room.code}/join`, `/rooms/${room.code}/health`]) {
    for (const body of bodies) {
      const { status, text } = await send('POST', `${url}${path}`, { headers: JSON_TYPE, body })
      t.equal(status, 400, `${path} ${body}`)
      t.match((JSON.parse(text) as { error: string }).error, /JSON/)
    }
  }
})

t.test('invalid JSON to a room that does not exist is a 404: the room is looked up first', async (t) => {
  const { url } = await startHub(t)
  t.equal((await send('POST', `${url}/rooms/ABC234/join`, { headers: JSON_TYPE, body: '{' })).status, 404)
})

t.test('bytes that are no UTF-8 never become a 500', async (t) => {
  const { url } = await startHub(t)
  const body = Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe, 0xc3]), Buffer.from('"}')])
  const { status } = await send('POST', `${url}/rooms`, { headers: JSON_TYPE, body })
  t.ok(status === 400 || status === 201, `${status}`)
})

t.test('JSON that is no object is a 400 with a sentence', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const path of ['/rooms', `/rooms/${room.code}/join`, `/rooms/${room.code}/health`]) {
    for (const body of ['null', '[]', '"Kitchen"', '12', 'true', '[{"name":"Kitchen"}]']) {
      const { status, text } = await send('POST', `${url}${path}`, { headers: JSON_TYPE, body })
      t.equal(status, 400, `${path} ${body}`)
      t.type((JSON.parse(text) as { error: string }).error, 'string')
    }
  }
})

t.test('a body cannot reach the prototype', async (t) => {
  const { url } = await startHub(t)
  const bodies = ['{"__proto__":{"name":"x"}}', '{"name":"x","constructor":{"prototype":{"admin":true}}}']
  for (const body of bodies) {
    const { status } = await send('POST', `${url}/rooms`, { headers: JSON_TYPE, body })
    t.equal(status, 400, body)
  }
  t.notOk('admin' in {})
})
