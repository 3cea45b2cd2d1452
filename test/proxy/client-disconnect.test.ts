import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { open, post, send, within } from '../support/chat.ts'
import { answerPlain, chunkOf, startStream } from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'

const PROMPTLY_MS = 10_000
const STREAMED = { model: '*', messages: [], stream: true }
const PLAIN = { model: '*', messages: [] }

for (const [what, body] of [
  ['a streamed request', STREAMED],
  ['a plain request', PLAIN],
] as const) {
  t.test(`a client that leaves ${what} in prefill ends it at the participant`, async (t) => {
    const llm = answerByHand()
    const { chatUrl } = await openKitchen(t, llm.answerer)
    const outgoing = post(chatUrl, body).on('error', () => {})
    const { request } = await llm.next()
    outgoing.destroy()
    await within(request.closed, PROMPTLY_MS, 'the participant sees its socket closed')
    t.ok(request.aborted)
  })
}

t.test('a client that leaves in the midst of a stream ends it at the participant', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, STREAMED)
  const { request, response } = await llm.next()
  startStream(response)
  response.write(chunkOf('Hello'))
  const answer = await coming
  await answer.has('Hello')
  answer.abort()
  await within(request.closed, PROMPTLY_MS, 'the participant sees its socket closed')
  t.ok(request.aborted)
})

t.test('a client that leaves a plain answer half way ends it at the participant', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, PLAIN)
  const { request, response } = await llm.next()
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 }).write('{"half":')
  const answer = await coming
  answer.abort()
  await within(request.closed, PROMPTLY_MS, 'the participant sees its socket closed')
  t.ok(request.aborted)
})

t.test('a client that leaves takes nobody with it', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const leaver = post(chatUrl, STREAMED).on('error', () => {})
  const left = await llm.next()
  const staying = send(t, chatUrl, STREAMED)
  const stayed = await llm.next()
  leaver.destroy()
  await left.request.closed
  answerPlain('still here')(stayed.request, stayed.response)
  t.match((await staying).text, 'still here')
})

t.test('a client that leaves before its body is there starts nothing', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const leaver = connect({ host: '127.0.0.1', port: Number(new URL(chatUrl).port) })
  leaver.write(`POST ${new URL(chatUrl).pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: 100\r\n\r\n{"model":`)
  await once(leaver, 'connect')
  leaver.destroy()
  t.equal((await send(t, chatUrl, PLAIN)).status, 200, 'the next request comes through')
  t.equal(llm.requests.length, 1)
})

t.test('a hundred clients that leave at once leave nothing open at the participant', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const leavers = Array.from({ length: 100 }, () => post(chatUrl, STREAMED).on('error', () => {}))
  const orders = await Promise.all(leavers.map(() => llm.next()))
  for (const leaver of leavers) leaver.destroy()
  const closed = Promise.all(orders.map(({ request }) => request.closed))
  await within(closed, 2 * PROMPTLY_MS, 'the participant sees all sockets closed')
  t.ok(orders.every(({ request }) => request.aborted))
})

t.test('a client that leaves takes along what it asked ahead on the same connection', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const { port, pathname } = new URL(chatUrl)
  const leaver = connect({ host: '127.0.0.1', port: Number(port) })
  leaver.write(`POST ${pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n{}`.repeat(2))
  const orders = [await llm.next(), await llm.next()]
  leaver.destroy()
  const closed = Promise.all(orders.map(({ request }) => request.closed))
  await within(closed, PROMPTLY_MS, 'the participant sees both closed')
})
