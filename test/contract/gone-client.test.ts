import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

/** pino's number for `error`. */
const ERROR = 50

/** A hub that keeps what it logs as an error. */
async function startRoom(t: Test) {
  const errors: string[] = []
  const keep = (line: string) => {
    if ((JSON.parse(line) as { level: number }).level >= ERROR) errors.push(line)
  }
  const logger = pino({ level: 'error' }, { write: keep })
  const { url } = await startHub(t, { logger })
  const { room } = await openRoom(url)
  await join(url, room.code)
  return { url, code: room.code, errors }
}

/** Sends these bytes over one connection; what came back until the hub closed it. */
async function sendBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  let answer = ''
  socket.on('data', (text: string) => {
    answer += text
  })
  socket.on('error', () => {})
  socket.end(bytes)
  await once(socket, 'close')
  return answer
}

t.test('bytes behind a request that are none do not make the hub fail at it', async (t) => {
  const { url, code, errors } = await startRoom(t)
  // A DELETE whose body has no length, as Node sends it: the connection is refused while the request is under way.
  await sendBytes(url, `DELETE /rooms/${code}/leave/alice HTTP/1.1\r\nhost: x\r\n\r\n{}`)
  await call('GET', `${url}/health`)
  t.strictSame(errors, [])
})

t.test('a client that breaks off in the midst of its body changes nothing and is no failure of the hub', async (t) => {
  const { url, code, errors } = await startRoom(t)
  const reader = await readEvents(t, `${url}/rooms/${code}/events`)
  const head = `POST /rooms/${code}/join HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n`
  await sendBytes(url, `${head}{"id":"bob"`)
  t.strictSame(await eventsSoFar(url, reader), ['connected'])
  t.strictSame(errors, [])
})

t.test('bytes that are no HTTP are an answer of 400, and the hub lives on', async (t) => {
  const { url, errors } = await startRoom(t)
  for (const bytes of ['HELO potluck\r\n\r\n', '\u0016\u0003\u0001\u0000']) {
    t.match(await sendBytes(url, bytes), /^HTTP\/1\.1 400 /)
  }
  t.equal((await call('GET', `${url}/health`)).status, 200)
  t.strictSame(errors, [])
})
