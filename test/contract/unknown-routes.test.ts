import t from 'tap'
import { openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

t.test('unknown routes: 404 JSON {"error": …}', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const requests = [
    ['GET', '/nowhere'],
    ['GET', `/rooms/${room.code}/nowhere`],
    ['POST', '/health'],
    ['PUT', '/rooms'],
    ['DELETE', '/rooms'],
    ['GET', `/rooms/${room.code}/join`],
    ['PUT', `/rooms/${room.code}/participants`],
    ['GET', '/rooms/%00/../../etc/passwd'],
  ] as const
  for (const [method, path] of requests) {
    const { status, headers, text } = await send(method, `${url}${path}`)
    t.equal(status, 404, `${method} ${path}`)
    t.match(headers['content-type'], /^application\/json/)
    t.type((JSON.parse(text) as { error: string }).error, 'string')
  }
})

t.test('the error of an unknown route names method and path, and not the query', async (t) => {
  const { url } = await startHub(t)
  const { text } = await send('GET', `${url}/nowhere?key=secret`)
  t.match(text, 'GET /nowhere')
  t.notMatch(text, 'secret')
})

t.test('a body that goes nowhere is not read', async (t) => {
  const { url } = await startHub(t)
  t.equal((await send('POST', `${url}/nowhere`, { body: '{' })).status, 404)
  t.equal((await send('POST', `${url}/nowhere`, { body: 'x'.repeat(100_000) })).status, 404)
})

t.test('a trailing slash names the same route', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const path of ['/health/', '/rooms/', `/rooms/${room.code}/participants/`]) {
    t.equal((await send('GET', `${url}${path}`)).status, 200, path)
  }
})

t.test('what is no HTTP method of ours is an answer, not a crash', async (t) => {
  const { url } = await startHub(t)
  for (const method of ['PROPFIND', 'TRACE', 'LINK']) {
    const { status } = await send(method, `${url}/rooms`)
    t.ok(status >= 400 && status < 500, `${method} ${status}`)
  }
})
