import t, { type Test } from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

/** Every operation on a room, with a body that is good where one is read. */
const OPERATIONS = [
  ['POST', '/join', { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }],
  ['DELETE', '/leave/alice', undefined],
  ['POST', '/health', { id: 'alice' }],
  ['GET', '/participants', undefined],
  ['GET', '/events', undefined],
  ['GET', '/v1/models', undefined],
  ['POST', '/v1/chat/completions', { model: '*', messages: [] }],
] as const

t.test('room codes are matched without regard to case', async (t) => {
  const { url } = await startHub(t)
  const code = (await openRoom(url)).room.code.toLowerCase()
  await join(url, code)
  const mixed = code.replace(/[a-z]/, (letter) => letter.toUpperCase())
  t.equal((await call('POST', `${url}/rooms/${mixed}/health`, { id: 'alice' })).status, 200)
  t.equal((await call('GET', `${url}/rooms/${code}/v1/models`)).status, 200)
  t.equal((await call<{ participants: [] }>('GET', `${url}/rooms/${code}/participants`)).body.participants.length, 1)
  t.equal((await call('DELETE', `${url}/rooms/${mixed}/leave/alice`)).status, 200)
})

t.test('room codes are returned in upper case', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.equal(room.code, room.code.toUpperCase())
})

async function refusesEverywhere(t: Test, url: string, code: string): Promise<void> {
  for (const [method, path, body] of OPERATIONS) {
    const json = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await send(method, `${url}/rooms/${code}${path}`, json)
    t.equal(answer.status, 404, `${method} ${code.slice(0, 20)} ${path}`)
    t.match(answer.text, 'Room not found')
  }
}

t.test('every operation on a room that does not exist: 404 `Room not found`', async (t) => {
  const { url } = await startHub(t)
  await refusesEverywhere(t, url, 'ZZZZZZ')
})

t.test('the body of that 404 is {"error":"Room not found"} on every path that is no inference path', async (t) => {
  const { url } = await startHub(t)
  for (const [method, path, body] of OPERATIONS.filter(([, path]) => !path.startsWith('/v1'))) {
    t.strictSame((await call(method, `${url}/rooms/ZZZZZZ${path}`, body)).body, { error: 'Room not found' })
  }
})

t.test("a code of any form that is no room's is 404", async (t) => {
  const { url } = await startHub(t)
  await openRoom(url)
  const odd = ['a', 'AB', '0OIL1', '%20', 'a%2Fb', '%0d%0a', '%C3%9F%C3%9F%C3%9F', '*', 'null', '__proto__', '..%2f..']
  for (const code of [...odd, 'X'.repeat(300), 'X'.repeat(8000)]) await refusesEverywhere(t, url, code)
})

t.test('a code of any form, also one that is no proper escape, is 404', async (t) => {
  const { url } = await startHub(t)
  for (const code of ['%', '%zz', '%ff', '%E0%A4%A']) {
    const { status, text } = await send('GET', `${url}/rooms/${code}/participants`)
    t.equal(status, 404, code)
    t.strictSame(JSON.parse(text), { error: 'Room not found' })
  }
})

/** Opens rooms until one has a letter that Unicode folds another one to: ſ (U+017F) and K (U+212A). */
async function codeThatFolds(url: string): Promise<string> {
  for (;;) {
    const { code } = (await openRoom(url)).room
    if (/[SK]/.test(code)) return code.replaceAll('S', '\u017F').replaceAll('K', '\u212A')
  }
}

t.test('only ASCII letters have a case: no room is found by Unicode folding', async (t) => {
  const { url } = await startHub(t)
  await refusesEverywhere(t, url, encodeURIComponent(await codeThatFolds(url)))
})
