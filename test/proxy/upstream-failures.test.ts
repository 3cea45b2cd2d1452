import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { errorOf, send, type WholeAnswer } from '../support/chat.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { openKitchen, openRoomFor } from '../support/kitchen.ts'
import { startRawLlm } from '../support/raw-llm.ts'
import { DEAD_URL } from '../support/table.ts'

const CHAT = { model: '*', messages: [] }

function isProxyFailure(t: Test, answer: WholeAnswer, why: RegExp | string = /.+/): void {
  t.equal(answer.status, 502)
  t.match(answer.headers['content-type'], /^application\/json/)
  const { message, type, code, param } = errorOf(answer)
  t.ok(message.startsWith('Failed to proxy request: Alice (alice): '), message)
  t.match(message, why)
  t.strictSame([type, code, param], ['server_error', 'PTL_PROXY_FAILED', null])
}

t.test('a refused connection is 502 and says so', async (t) => {
  const { chatUrl } = await openRoomFor(t, DEAD_URL)
  isProxyFailure(t, await send(t, chatUrl, CHAT), 'Connection refused')
})

const head = (lines: string) => (socket: Socket) => void socket.end(`${lines}\r\n\r\n`)
const HUGE_HEADER = `X-Huge: ${'x'.repeat(100_000)}`

/** Each is how an answer may fail before its first byte. */
const FAILURES: [string, (socket: Socket) => void][] = [
  ['the connection is reset', (socket) => void socket.resetAndDestroy()],
  ['the connection ends', (socket) => void socket.end()],
  ['the connection ends within the status line', (socket) => void socket.end('HTTP/1.1 20')],
  ['the connection ends within the headers', (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-')],
  ['the connection ends behind the headers of a body', head('HTTP/1.1 200 OK\r\nContent-Length: 100')],
  ['the connection ends before the first chunk', head('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked')],
  ['the answer is that of another protocol', (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
  ['the answer is binary', (socket) => void socket.end(Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]))],
  ['the status is none', head('HTTP/1.1 abc Nope\r\nContent-Length: 0')],
  ['the length is no number', head('HTTP/1.1 200 OK\r\nContent-Length: many')],
  ['the length is there twice, differently', head('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2')],
  ['length and chunks contradict', head('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked')],
  ['a header holds a NUL', head('HTTP/1.1 200 OK\r\nX-Odd: a\0b\r\nContent-Length: 0')],
  ['a header is larger than any', head(`HTTP/1.1 200 OK\r\n${HUGE_HEADER}\r\nContent-Length: 0`)],
  [
    'the first chunk is none',
    (socket) => void socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'),
  ],
  ['it switches protocols unasked', head('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade')],
]

for (const [what, how] of FAILURES) {
  t.test(`where ${what}, it is 502 after exactly one request`, async (t) => {
    const llm = await startRawLlm(t, how)
    const { chatUrl } = await openRoomFor(t, llm.url)
    isProxyFailure(t, await send(t, chatUrl, CHAT))
    t.equal(llm.requests.length, 1)
  })
}

t.test('an answer that is no HTTP is told as such', async (t) => {
  const llm = await startRawLlm(t, (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
  const { chatUrl } = await openRoomFor(t, llm.url)
  isProxyFailure(t, await send(t, chatUrl, CHAT), 'The answer is not HTTP')
})

t.test('a reset is told as such', async (t) => {
  const llm = await startRawLlm(t, (socket) => void socket.resetAndDestroy())
  const { chatUrl } = await openRoomFor(t, llm.url)
  isProxyFailure(t, await send(t, chatUrl, CHAT), 'Connection reset')
})

t.test('TLS where the participant speaks none is 502', async (t) => {
  const llm = await startFakeLlm(t)
  const { chatUrl } = await openRoomFor(t, llm.url.replace('http:', 'https:'))
  isProxyFailure(t, await send(t, chatUrl, CHAT))
})

for (const status of [300, 301, 302, 303, 304, 307, 308]) {
  t.test(`a redirect (${status}) is 502 and never followed`, async (t) => {
    const elsewhere = await startFakeLlm(t)
    const { chatUrl, llm } = await openKitchen(t, (_request, response) => {
      response.writeHead(status, { location: `${elsewhere.url}/v1/chat/completions` }).end()
    })
    const answer = await send(t, chatUrl, CHAT)
    isProxyFailure(t, answer, `redirect (${status})`)
    t.notOk('location' in answer.headers)
    t.equal(elsewhere.requests.length, 0)
    t.equal(llm.requests.length, 1)
  })
}

t.test('a participant that failed is asked again at the next request', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, (_request, response) => void response.destroy())
  isProxyFailure(t, await send(t, chatUrl, CHAT))
  llm.answer((_request, response) => void response.end('{}'))
  t.equal((await send(t, chatUrl, CHAT)).status, 200)
})

t.test('a participant that hangs up after each answer is served over a new connection', async (t) => {
  const llm = await startRawLlm(t, (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'))
  const { chatUrl } = await openRoomFor(t, llm.url)
  for (const turn of [1, 2, 3]) {
    t.equal((await send(t, chatUrl, CHAT)).text, '{}')
    t.equal(llm.connections, turn)
  }
})

t.test('a request is not repeated where the participant hangs up on the second of a connection', async (t) => {
  let answered = 0
  const llm = await startRawLlm(t, (socket) => {
    answered += 1
    if (answered > 1) socket.destroy()
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')
  })
  const { chatUrl } = await openRoomFor(t, llm.url)
  t.equal((await send(t, chatUrl, CHAT)).status, 200)
  isProxyFailure(t, await send(t, chatUrl, CHAT))
  t.equal(llm.requests.length, 2)
})

t.test('more than the answer says is cut off, and never taken for the next answer', async (t) => {
  const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged'
  const llm = await startRawLlm(
    t,
    (socket) => void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}${forged}`),
  )
  const { chatUrl } = await openRoomFor(t, llm.url)
  t.equal((await send(t, chatUrl, CHAT)).text, '{}')
  t.equal((await send(t, chatUrl, CHAT)).text, '{}')
})

t.test('the error is told to browsers of other origins too', async (t) => {
  const { chatUrl } = await openRoomFor(t, DEAD_URL)
  const { headers } = await send(t, chatUrl, CHAT, { origin: 'http://dashboard.test' })
  t.equal(headers['access-control-allow-origin'], '*')
})
