import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { Forward, type ForwardOptions, type Outcome } from '../../plugins/ollama-proxy/forward.ts'
import { Meter } from '../../plugins/ollama-proxy/meter.ts'
import { openaiChat } from '../../plugins/ollama-proxy/protocols/openai-chat.ts'

t.test('what cannot be sent on is a failure of that request, and of nothing else', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close().closeAllConnections())
  await once(server, 'listening')
  const answer = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  let taken = 0
  const forward = new Forward({
    response,
    protocol: openaiChat,
    meter: new Meter({ protocol: openaiChat, startedAt: 0, sentAt: 0, requestBytes: 0 }),
    now: () => 0,
    startedAt: 0,
    replyHeaders: ['x-broken', 'a\nb'],
    onTakeOver: () => {
      taken += 1
    },
    stallMs: 1000,
    firstByteMs: 1000,
    onSettled: () => {},
    who: 'alice',
  })
  const controller = {
    abort: (error: Error) => forward.onResponseError(undefined, error),
  } as unknown as Dispatcher.DispatchController
  forward.onRequestStart(controller)
  forward.onResponseStart(controller, 200, { 'content-type': 'application/json' })
  forward.onResponseData(controller, Buffer.from('{}'))
  t.match(await forward.outcome, { kind: 'failed', stage: 'answer', error: { code: 'ERR_INVALID_CHAR' } })
  t.equal(forward.isStarted, false, 'somebody else can be asked')
  t.equal(taken, 0)
  response.end('it still can be answered')
  t.equal(await (await answer).text(), 'it still can be answered')
})

/** An answer on its way to a real client, and what the participant's connection is told meanwhile. */
async function open(t: Test, { stallMs = 60_000, ...more }: Partial<ForwardOptions> = {}) {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close().closeAllConnections())
  await once(server, 'listening')
  const client = get({ port: (server.address() as AddressInfo).port, agent: false }).on('error', () => {})
  client.on('response', (incoming) => incoming.pause())
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  const forward = new Forward({
    response,
    protocol: openaiChat,
    meter: new Meter({ protocol: openaiChat, startedAt: 0, sentAt: 0, requestBytes: 0 }),
    now: () => 0,
    startedAt: 0,
    replyHeaders: [],
    onTakeOver: () => {},
    stallMs,
    firstByteMs: 1000,
    onSettled: () => {},
    who: 'alice',
    ...more,
  })
  const told: string[] = []
  const controller = {
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
    abort: () => told.push('abort'),
  } as unknown as Dispatcher.DispatchController
  forward.onRequestStart(controller)
  return { client, response, forward, controller, told }
}

const LARGE = Buffer.alloc(16 * 1024 * 1024, ' ')

const JSON_ANSWER = { 'content-type': 'application/json' }

t.test('whoever has all of an answer finds the account closed, though its end is still to come', async (t) => {
  const seen: string[] = []
  const { client, forward, controller, told } = await open(t, { onSettled: ({ kind }) => seen.push(kind) })
  forward.onResponseStart(controller, 200, { ...JSON_ANSWER, 'content-length': '2' })
  forward.onResponseData(controller, Buffer.from('{}'))
  const [incoming] = (await once(client, 'response')) as [IncomingMessage]
  incoming.once('data', () => seen.push('answer'))
  t.equal(await text(incoming), '{}')
  forward.onResponseEnd()
  t.strictSame(seen, ['complete', 'answer'])
  t.strictSame(told, [])
})

t.test('an answer of known length that is whole lets its end come, read or not', async (t) => {
  const { client, forward, controller, told } = await open(t)
  forward.onResponseStart(controller, 200, { ...JSON_ANSWER, 'content-length': String(LARGE.length + 1) })
  forward.onResponseData(controller, LARGE)
  await once(client, 'response')
  forward.onResponseData(controller, Buffer.from(' '))
  t.match(await forward.outcome, { kind: 'complete' })
  t.strictSame(told, ['pause', 'resume'])
  client.destroy()
})

t.test('a refusal that is too long to be looked at ends with its last byte as well', async (t) => {
  const seen: string[] = []
  const onSettled = ({ kind }: Outcome) => seen.push(kind)
  const { client, forward, controller } = await open(t, { mayWiden: () => true, onSettled })
  const refusal = Buffer.alloc(20 * 1024, ' ')
  forward.onResponseStart(controller, 400, { ...JSON_ANSWER, 'content-length': String(refusal.length) })
  forward.onResponseData(controller, refusal)
  const [incoming] = (await once(client, 'response')) as [IncomingMessage]
  incoming.once('data', () => seen.push('answer'))
  t.equal((await text(incoming)).length, refusal.length)
  t.strictSame(seen, ['refused', 'answer'])
})

t.test('who leaves the rest of an ended answer lying is cut off', async (t) => {
  const { client, response, forward, controller } = await open(t, { stallMs: 20 })
  forward.onResponseStart(controller, 200, JSON_ANSWER)
  forward.onResponseData(controller, LARGE)
  forward.onResponseEnd()
  t.match(await forward.outcome, { kind: 'complete' })
  await once(response, 'close')
  t.equal(response.writableFinished, false, 'not all of it had been taken')
  client.destroy()
})

const END = Buffer.from('data: {}\n\ndata: [DONE]\n\n')

for (const [who, bytes, kind, expected] of [
  ['goes at a stream’s own end has not given up', END, 'complete', ['abort']],
  ['goes before it has', Buffer.from('data: {}\n\n'), 'cancelled', ['abort']],
  ['was behind may not have seen it', Buffer.concat([LARGE, END]), 'cancelled', ['pause', 'abort']],
] as const) {
  t.test(`who ${who}`, async (t) => {
    const { client, forward, controller, told } = await open(t)
    forward.onResponseStart(controller, 200, { 'content-type': 'text/event-stream' })
    forward.onResponseData(controller, bytes)
    await once(client, 'response')
    client.destroy()
    t.match(await forward.outcome, { kind })
    t.strictSame(told, expected, 'the participant is told that nobody reads any more')
  })
}
