import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { errorOf, open, send, type WholeAnswer, within } from '../support/chat.ts'
import { answerPlain, chunkOf, startStream } from '../support/fake-llm.ts'
import { answerFlood, askWithoutReading } from '../support/flood.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

const STREAMED = { model: '*', messages: [], stream: true }
const BOUND_MS = 5000
const LONG_GRACE = { hub: { graceMs: 20_000 } }
const SHORT_GRACE = { hub: { graceMs: 100 } }

/** A kitchen with one stream that has begun; the test writes the rest. */
async function openStream(t: Test, options: Parameters<typeof openKitchen>[2], agent: Agent | false = false) {
  const llm = answerByHand()
  const kitchen = await openKitchen(t, llm.answerer, options)
  const coming = open(t, kitchen.chatUrl, STREAMED, {}, { agent })
  const { request, response } = await llm.next()
  startStream(response)
  response.write(chunkOf('Hello'))
  const answer = await coming
  await answer.has('Hello')
  return { kitchen, llm, request, response, answer }
}

/** Closes, and resolves once that has begun: the events are the first to end. */
async function beginClosing(t: Test, { hub, eventsUrl }: Kitchen): Promise<{ closed: Promise<void> }> {
  const events = await readEvents(t, eventsUrl)
  const closed = hub.close()
  await within(events.ended, BOUND_MS, 'the end of the events')
  return { closed }
}

t.test('a running stream goes on to its end while the hub closes', async (t) => {
  const { kitchen, response, answer } = await openStream(t, LONG_GRACE)
  const closed = kitchen.hub.close()
  response.write(chunkOf(' world'))
  await answer.has(' world')
  response.end('data: [DONE]\n\n')
  const { text, complete } = await answer.ended
  t.ok(complete)
  t.equal(text, `${chunkOf('Hello')}${chunkOf(' world')}data: [DONE]\n\n`)
  await within(closed, BOUND_MS, 'close')
})

t.test('a request that waits for its first byte gets its answer while the hub closes', async (t) => {
  const llm = answerByHand()
  const { chatUrl, hub } = await openKitchen(t, llm.answerer, LONG_GRACE)
  const sending = send(t, chatUrl, { model: '*' })
  const { request, response } = await llm.next()
  const closed = hub.close()
  answerPlain('just in time')(request, response)
  t.match((await sending).text, 'just in time')
  await within(closed, BOUND_MS, 'close')
})

t.test('a stream that outlasts the grace period ends with an error frame and a cut', async (t) => {
  const { kitchen, request, answer } = await openStream(t, SHORT_GRACE)
  await within(kitchen.hub.close(), BOUND_MS, 'close')
  const { text, complete } = await answer.ended
  t.notOk(complete)
  const frame = text.slice(chunkOf('Hello').length)
  t.match(frame, /^data: \{"error":\{.*\}\}\n\n$/)
  t.match(frame, 'shutting down')
  await within(request.closed, BOUND_MS, 'the participant sees its socket closed')
  t.ok(request.aborted)
})

t.test('a request that is still before its first byte when the grace period ends is 503', async (t) => {
  const llm = answerByHand()
  const { chatUrl, hub } = await openKitchen(t, llm.answerer, SHORT_GRACE)
  const sending = send(t, chatUrl, { model: '*' })
  const { request } = await llm.next()
  await within(hub.close(), BOUND_MS, 'close')
  const answer = await sending
  t.equal(answer.status, 503)
  t.strictSame([errorOf(answer).type, errorOf(answer).code], ['server_error', 'PTL_HUB_CLOSING'])
  t.match(errorOf(answer).message, 'shutting down')
  await within(request.closed, BOUND_MS, 'the participant sees its socket closed')
})

t.test('a plain answer that outlasts the grace period is cut', async (t) => {
  const llm = answerByHand()
  const { chatUrl, hub } = await openKitchen(t, llm.answerer, SHORT_GRACE)
  const coming = open(t, chatUrl, { model: '*' })
  const { response } = await llm.next()
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"half":')
  const answer = await coming
  await within(hub.close(), BOUND_MS, 'close')
  const { text, complete } = await answer.ended
  t.equal(text, '{"half":')
  t.notOk(complete)
})

t.test('twenty streams that outlast the grace period all end', async (t) => {
  const llm = answerByHand()
  const { chatUrl, hub } = await openKitchen(t, llm.answerer, SHORT_GRACE)
  const coming = Array.from({ length: 20 }, () => open(t, chatUrl, STREAMED))
  for (const _ of coming) {
    const { response } = await llm.next()
    startStream(response)
    response.write(chunkOf('Hello'))
  }
  const answers = await Promise.all(coming)
  await within(hub.close(), BOUND_MS, 'close')
  for (const { text } of await Promise.all(answers.map(({ ended }) => ended))) t.match(text, 'shutting down')
})

/** What a client gets that comes too late; undefined where nobody answers at all. */
async function comeLate(t: Test, { chatUrl }: Kitchen, agent: Agent | false): Promise<WholeAnswer | undefined> {
  return send(t, chatUrl, { model: '*' }, {}, { agent }).catch(() => undefined)
}

function keepAliveAgent(t: Test): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return agent
}

for (const kind of ['kept-alive', 'new'] as const) {
  t.test(`a request on a ${kind} connection is refused once closing has begun`, async (t) => {
    const agent = kind === 'new' ? false : keepAliveAgent(t)
    const { kitchen, response, answer } = await openStream(t, LONG_GRACE)
    kitchen.llm.answer(answerPlain('early'))
    t.match((await send(t, kitchen.chatUrl, { model: '*' }, {}, { agent })).text, 'early')
    const { closed } = await beginClosing(t, kitchen)
    const late = await comeLate(t, kitchen, agent)
    t.ok(late === undefined || late.status === 503, 'it is not served')
    t.equal(kitchen.llm.requests.length, 2, 'the participant hears nothing of it')
    response.end()
    await answer.ended
    await within(closed, BOUND_MS, 'close')
  })
}

t.test('a request whose body was still on its way when closing began is 503', async (t) => {
  const { kitchen, response, answer } = await openStream(t, LONG_GRACE)
  const socket = await uploadHalf(t, kitchen.chatUrl)
  const { closed } = await beginClosing(t, kitchen)
  socket.write(':"*"}')
  const [late] = (await once(socket, 'data')) as [Buffer]
  t.match(late.toString(), /^HTTP\/1\.1 503 /)
  t.match(late.toString(), 'PTL_HUB_CLOSING')
  t.equal(kitchen.llm.requests.length, 1, 'the participant hears nothing of it')
  response.end()
  await answer.ended
  await within(closed, BOUND_MS, 'close')
})

t.test('who is refused because the hub closes can read why', async (t) => {
  const agent = keepAliveAgent(t)
  const { kitchen } = await openStream(t, { hub: { graceMs: 1000 } })
  kitchen.llm.answer(answerPlain('early'))
  await send(t, kitchen.chatUrl, { model: '*' }, {}, { agent })
  await beginClosing(t, kitchen)
  const late = await comeLate(t, kitchen, agent)
  t.ok(late === undefined || errorOf(late).type === 'server_error', 'in the shape that OpenAI clients parse')
})

t.test('a connection that is kept alive does not hold up the end', async (t) => {
  const agent = keepAliveAgent(t)
  const { chatUrl, hub } = await openKitchen(t, undefined, LONG_GRACE)
  await send(t, chatUrl, { model: '*' }, {}, { agent })
  await within(hub.close(), BOUND_MS, 'close')
})

t.test('a connection that is kept alive behind a stream that ended while closing does not either', async (t) => {
  const { kitchen, response, answer } = await openStream(t, LONG_GRACE, keepAliveAgent(t))
  const { closed } = await beginClosing(t, kitchen)
  response.end('data: [DONE]\n\n')
  t.ok((await answer.ended).complete)
  await within(closed, BOUND_MS, 'close')
})

t.test('a connection on which nothing was ever asked does not hold up the end', async (t) => {
  const { url, hub } = await openKitchen(t, undefined, SHORT_GRACE)
  const socket = await connectTo(t, url)
  t.ok(socket.writable)
  await within(hub.close(), BOUND_MS, 'close')
})

t.test('a client that never ends its request does not hold up the end', async (t) => {
  const { chatUrl, hub } = await openKitchen(t, undefined, SHORT_GRACE)
  await uploadHalf(t, chatUrl)
  await within(hub.close(), BOUND_MS, 'close')
})

/** A request whose head the hub has read, and half of its body: `{"model"` of 13 bytes. */
async function uploadHalf(t: Test, chatUrl: string): Promise<Socket> {
  const socket = await connectTo(t, chatUrl)
  const { pathname } = new URL(chatUrl)
  socket.write(`POST ${pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: 13\r\nExpect: 100-continue\r\n\r\n{"model"`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  if (!answer.toString().startsWith('HTTP/1.1 100 ')) throw new Error(`the hub said: ${answer}`)
  return socket
}

t.test('a client that does not read its answer does not hold up the end', async (t) => {
  const flood = answerFlood()
  const { chatUrl, hub } = await openKitchen(t, flood.answerer, SHORT_GRACE)
  askWithoutReading(t, chatUrl)
  await flood.standstill()
  await within(hub.close(), BOUND_MS, 'close')
})

async function connectTo(t: Test, url: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) }).on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

t.test('after the end no connection to a participant is left', async (t) => {
  const { chatUrl, hub, llm } = await openKitchen(t)
  await Promise.all(Array.from({ length: 5 }, () => send(t, chatUrl, { model: '*' })))
  t.ok(llm.sockets.size > 0)
  const closed = Promise.all([...llm.sockets].map((socket) => once(socket, 'close')))
  await hub.close()
  await within(closed, BOUND_MS, 'the end of the connections')
})

t.test('closing twice waits for the same end', async (t) => {
  const { kitchen, response, answer } = await openStream(t, LONG_GRACE)
  const both = Promise.all([kitchen.hub.close(), kitchen.hub.close()])
  response.end('data: [DONE]\n\n')
  t.ok((await answer.ended).complete)
  await within(both, BOUND_MS, 'close')
})

t.test('a client that leaves while the hub closes ends the wait', async (t) => {
  const { kitchen, request, answer } = await openStream(t, LONG_GRACE)
  const closed = kitchen.hub.close()
  answer.abort()
  await within(request.closed, BOUND_MS, 'the participant sees its socket closed')
  await within(closed, BOUND_MS, 'close')
})
