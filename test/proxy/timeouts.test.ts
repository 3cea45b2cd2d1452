import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { errorOf, open, send, type WholeAnswer, within } from '../support/chat.ts'
import { type Answerer, answerNever, chunkOf, startStream } from '../support/fake-llm.ts'
import { openKitchen, openRoomFor } from '../support/kitchen.ts'

const CHAT = { model: '*', messages: [] }
const STREAMED = { ...CHAT, stream: true }

/** undici's own timers are half a second coarse: these bounds only keep a test from hanging. */
const BOUND_MS = 10_000

function isTimeout(t: Test, answer: WholeAnswer, why: string): void {
  t.equal(answer.status, 502)
  t.equal(errorOf(answer).message, `Failed to proxy request: Alice (alice): ${why}`)
}

/** Listens, and never takes a connection: its thread stands still. */
const DEAF = `
  const { parentPort } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
  })
`

/** A port whose queue is full, so that the next connection is neither accepted nor refused. */
async function deafPort(t: Test): Promise<number> {
  const worker = new Worker(DEAF, { eval: true })
  t.teardown(() => worker.terminate())
  const [port] = (await once(worker, 'message')) as [number]
  for (let taken = 0; taken < 8; taken++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
  }
  return port
}

t.test('who does not accept a connection in time is 502', async (t) => {
  const port = await deafPort(t)
  const { chatUrl } = await openRoomFor(t, `http://127.0.0.1:${port}`, { hub: { connectTimeoutMs: 100 } })
  isTimeout(t, await within(send(t, chatUrl, CHAT), BOUND_MS, 'the answer'), 'Connection timed out')
})

t.test('who says nothing in time is 502, and its request is ended', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, answerNever, { hub: { firstByteTimeoutMs: 100 } })
  isTimeout(t, await within(send(t, chatUrl, CHAT), BOUND_MS, 'the answer'), 'No answer in time')
  await within(llm.requests[0]!.closed, BOUND_MS, 'the participant sees its socket closed')
  t.equal(llm.requests.length, 1)
})

t.test('who sends headers and then nothing is 502: the client was told nothing yet', async (t) => {
  const options = { hub: { idleTimeoutMs: 100 } }
  const { chatUrl, llm } = await openKitchen(t, (_request, response) => startStream(response), options)
  const answer = await within(send(t, chatUrl, STREAMED), BOUND_MS, 'the answer')
  isTimeout(t, answer, 'The answer stopped coming')
  await within(llm.requests[0]!.closed, BOUND_MS, 'the participant sees its socket closed')
  t.equal(llm.requests.length, 1)
})

t.test('who falls silent in the midst of a stream is ended with an error frame', async (t) => {
  const { chatUrl, llm } = await openKitchen(
    t,
    (_request, response) => {
      startStream(response)
      response.write(chunkOf('Hello'))
    },
    { hub: { idleTimeoutMs: 100 } },
  )
  const answer = await within(send(t, chatUrl, STREAMED), BOUND_MS, 'the end of the stream')
  t.ok(answer.text.startsWith(chunkOf('Hello')))
  t.match(answer.text, 'data: {"error":{"message":"Alice (alice) broke off: The answer stopped coming"')
  t.notOk(answer.complete)
  t.equal(llm.requests.length, 1)
})

t.test('a first byte that takes longer than the silence within an answer is waited for', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer, { hub: { idleTimeoutMs: 100 } })
  const coming = open(t, chatUrl, CHAT)
  const { response } = await llm.next()
  const timer = setTimeout(() => response.end('{}'), 1500)
  t.teardown(() => clearTimeout(timer))
  t.equal((await (await coming).ended).text, '{}')
})

t.test('a long answer whose pieces keep coming is not cut', async (t) => {
  const { chatUrl } = await openKitchen(t, answerSlowly(12, 200), { hub: { idleTimeoutMs: 1200 } })
  const answer = await send(t, chatUrl, STREAMED)
  t.ok(answer.complete)
  t.equal(answer.text, chunkOf('word').repeat(12))
})

function answerSlowly(count: number, pauseMs: number): Answerer {
  return async (_request, response) => {
    startStream(response)
    for (let sent = 0; sent < count; sent++) {
      response.write(chunkOf('word'))
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    response.end()
  }
}
