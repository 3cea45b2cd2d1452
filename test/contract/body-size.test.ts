import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

const LIMIT = 64 * 1024

/** A room's body of exactly that many bytes; what makes it long is a key that nobody reads. */
function bodyOf(bytes: number): string {
  const empty = JSON.stringify({ name: 'Kitchen', padding: '' })
  return JSON.stringify({ name: 'Kitchen', padding: 'x'.repeat(bytes - empty.length) })
}

t.test('a body of 64 KiB is read', async (t) => {
  const { url } = await startHub(t)
  t.equal((await send('POST', `${url}/rooms`, { body: bodyOf(LIMIT) })).status, 201)
})

t.test('bodies over 64 KiB: 413 with a sentence', async (t) => {
  const { url } = await startHub(t)
  const { status, text } = await send('POST', `${url}/rooms`, { body: bodyOf(LIMIT + 1) })
  t.equal(status, 413)
  t.match((JSON.parse(text) as { error: string }).error, /larger than 65536 bytes/)
})

t.test('bodies over 64 KiB: 413 on every route of the base that reads one', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const base = `/rooms/${room.code}`
  for (const [method, path] of [
    ['POST', `${base}/join`],
    ['POST', `${base}/health`],
    ['DELETE', `${base}/leave/alice`],
  ] as const) {
    t.equal((await send(method, `${url}${path}`, { body: bodyOf(LIMIT + 1) })).status, 413, path)
  }
})

t.test('bodies over 64 KiB: 413 also where no length is announced', async (t) => {
  const { url } = await startHub(t)
  const outgoing = request(`${url}/rooms`, { method: 'POST', agent: false })
  outgoing.on('error', () => {})
  outgoing.write(bodyOf(LIMIT + 1))
  outgoing.end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 413)
  response.resume()
})

t.test('a length that was only announced is refused before it is sent', async (t) => {
  const { url } = await startHub(t)
  const headers = { 'content-length': String(1024 * 1024 * 1024) }
  const outgoing = request(`${url}/rooms`, { method: 'POST', agent: false, headers })
  outgoing.on('error', () => {})
  outgoing.flushHeaders()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  t.equal(response.statusCode, 413)
  outgoing.destroy()
})

t.test('an inference body may be larger: prompts are', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const chat = { model: '*', messages: [{ role: 'user', content: 'x'.repeat(4 * LIMIT) }] }
  t.equal((await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, chat)).status, 404)
})

t.test('deeply nested JSON is an answer, not a crash', async (t) => {
  const { url } = await startHub(t)
  const body = `{"name":"Kitchen","x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`
  const { status } = await send('POST', `${url}/rooms`, { body })
  t.ok(status === 201 || status === 400, `${status}`)
  t.equal((await call('GET', `${url}/health`)).status, 200)
})
