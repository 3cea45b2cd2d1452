import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { errorOf, send, type WholeAnswer } from '../support/chat.ts'
import { answerBrokenStream, chunkOf } from '../support/fake-llm.ts'
import { openKitchen, openRoomFor } from '../support/kitchen.ts'
import { chunked, STREAM_HEAD, startRawLlm } from '../support/raw-llm.ts'

const STREAMED = { model: '*', messages: [], stream: true }
const SAID = `${chunkOf('Hello')}${chunkOf(' world')}`

/** Each is how a stream that has begun may break. */
const BREAKS: [string, (socket: Socket) => void][] = [
  ['the connection ends without the last chunk', (socket) => void socket.end(STREAM_HEAD + chunked(SAID))],
  [
    'the connection is reset',
    (socket) => {
      socket.write(STREAM_HEAD + chunked(SAID), () => setTimeout(() => socket.resetAndDestroy(), 20))
    },
  ],
  ['what comes is no chunk', (socket) => void socket.write(`${STREAM_HEAD}${chunked(SAID)}xyz\r\n`)],
  [
    'it is shorter than it says',
    (socket) => {
      const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n'
      socket.end(head + SAID)
    },
  ],
]

async function breakOff(t: Test, how: (socket: Socket) => void) {
  const llm = await startRawLlm(t, how)
  const { chatUrl } = await openRoomFor(t, llm.url)
  return { llm, answer: await send(t, chatUrl, STREAMED) }
}

/** What stands behind `data: ` in the frame that ends the stream. */
function lastError(answer: WholeAnswer) {
  const last = answer.text.slice(SAID.length)
  return errorOf({ ...answer, text: last.replace(/^data: /, '') })
}

for (const [what, how] of BREAKS) {
  t.test(`where ${what}, the client has what was sent, an error frame, and no proper end`, async (t) => {
    const { answer } = await breakOff(t, how)
    t.equal(answer.status, 200)
    t.ok(answer.text.startsWith(SAID))
    t.ok(answer.text.endsWith('\n\n'), 'the error is a frame')
    t.match(lastError(answer).message, /^Alice \(alice\) broke off: .+/)
    t.strictSame([lastError(answer).type, lastError(answer).code], ['server_error', 'PTL_PROXY_FAILED'])
    t.notOk(answer.text.includes('[DONE]'))
    t.notOk(answer.complete, 'a cut answer looks cut')
  })

  t.test(`where ${what}, the request is not sent again`, async (t) => {
    const { llm } = await breakOff(t, how)
    t.equal(llm.requests.length, 1)
    t.equal(llm.connections, 1)
  })
}

t.test('a plain answer that breaks off is cut, and nothing is added to it', async (t) => {
  const llm = await startRawLlm(t, (socket) => {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"half":`)
  })
  const { chatUrl } = await openRoomFor(t, llm.url)
  const answer = await send(t, chatUrl, { model: '*' })
  t.equal(answer.text, '{"half":')
  t.notOk(answer.complete)
  t.equal(llm.requests.length, 1)
})

t.test('a plain answer in chunks that breaks off has no proper end either', async (t) => {
  const llm = await startRawLlm(t, (socket) => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
    socket.end(head + chunked('{"half":'))
  })
  const { chatUrl } = await openRoomFor(t, llm.url)
  const answer = await send(t, chatUrl, { model: '*' })
  t.equal(answer.text, '{"half":')
  t.notOk(answer.complete)
})

t.test('after a break the participant still serves', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, answerBrokenStream(['Hello']))
  t.notOk((await send(t, chatUrl, STREAMED)).complete)
  llm.answer((_request, response) => void response.end('{}'))
  t.ok((await send(t, chatUrl, STREAMED)).complete)
})

t.test('the error names no address and none of the words that were sent', async (t) => {
  const { llm, answer } = await breakOff(t, BREAKS[2]![1])
  const { message } = lastError(answer)
  t.notMatch(message, /xyz|Hello|127\.0\.0\.1/)
  t.notOk(message.includes(new URL(llm.url).port))
})
