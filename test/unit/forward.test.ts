import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { Forward, type ForwardOptions, type Outcome } from '../../plugins/ollama-proxy/forward.ts'
import { Meter } from '../../plugins/ollama-proxy/meter.ts'
import { openaiChat } from '../../plugins/ollama-proxy/protocols/openai-chat.ts'

/** @returns its port */
async function serve(t: Test, server = createServer()): Promise<{ server: Server; port: number }> {
  server.listen(0, '127.0.0.1')
  t.teardown(() => server.close().closeAllConnections())
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port }
}

/** An answer on its way to a real client, and what the participant's connection is told meanwhile. */
async function open(t: Test, options: Partial<ForwardOptions> = {}) {
  const { server, port } = await serve(t)
  const client = get({ port, agent: false }).on('error', () => {})
  client.on('response', (incoming) => incoming.pause())
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  return { client, response, ...begin(response, options) }
}

/** Two answers on their way to a client that asked for both at once, and reads when it is told to. */
async function openTwo(t: Test, options: Partial<ForwardOptions>) {
  const responses: ServerResponse[] = []
  const { server, port } = await serve(
    t,
    createServer((_request, response) => responses.push(response)),
  )
  const client = connect(port, '127.0.0.1').on('error', () => {})
  client.pause().write('GET / HTTP/1.1\r\nHost: hub\r\n\r\n'.repeat(2))
  while (responses.length < 2) await once(server, 'request')
  const [first, second] = responses as [ServerResponse, ServerResponse]
  return { client, first: begin(first, options), second: { response: second, ...begin(second, options) } }
}

function begin(response: ServerResponse, { stallMs = 60_000, ...more }: Partial<ForwardOptions>) {
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
    abort(error: Error) {
      told.push('abort')
      forward.onResponseError(undefined, error)
    },
  } as unknown as Dispatcher.DispatchController
  forward.onRequestStart(controller)
  return { forward, controller, told }
}

const LARGE = Buffer.alloc(16 * 1024 * 1024, ' ')

const JSON_ANSWER = { 'content-type': 'application/json' }

for (const length of [undefined, '2'])
  t.test(`what cannot be sent on is a failure of that request, and of nothing else (length: ${length})`, async (t) => {
    let taken = 0
    const onTakeOver = () => {
      taken += 1
    }
    const { client, response, forward, controller } = await open(t, { replyHeaders: ['x-broken', 'a\nb'], onTakeOver })
    forward.onResponseStart(controller, 200, {
      ...JSON_ANSWER,
      ...(length === undefined ? {} : { 'content-length': length }),
    })
    forward.onResponseData(controller, Buffer.from('{}'))
    t.match(await forward.outcome, { kind: 'failed', stage: 'answer', error: { code: 'ERR_INVALID_CHAR' } })
    t.equal(forward.isStarted, false, 'somebody else can be asked')
    t.equal(taken, 0)
    response.end('it still can be answered')
    const [incoming] = (await once(client, 'response')) as [IncomingMessage]
    t.equal(await text(incoming), 'it still can be answered')
  })

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

t.test('a refusal that is looked at is told with its last byte', async (t) => {
  const { client, forward, controller } = await open(t, { onNoPath: () => false })
  forward.onResponseStart(controller, 404, { ...JSON_ANSWER, 'content-length': '2' })
  forward.onResponseData(controller, Buffer.from('{}'))
  const [incoming] = (await once(client, 'response')) as [IncomingMessage]
  t.equal(incoming.statusCode, 404)
  t.match(await forward.outcome, { kind: 'refused', statusCode: 404 })
})

t.test('who leaves an answer lying that was whole before its turn is cut off', async (t) => {
  const { client, first, second } = await openTwo(t, { stallMs: 20 })
  second.forward.onResponseStart(second.controller, 200, { ...JSON_ANSWER, 'content-length': String(LARGE.length) })
  second.forward.onResponseData(second.controller, LARGE)
  t.match(await second.forward.outcome, { kind: 'complete' })
  first.forward.onResponseStart(first.controller, 200, { ...JSON_ANSWER, 'content-length': '2' })
  first.forward.onResponseData(first.controller, Buffer.from('{}'))
  await once(second.response, 'close')
  t.equal(second.response.writableFinished, false, 'not all of it had been taken')
  client.destroy()
})

t.test('who leaves the rest of a broken answer lying is cut off', async (t) => {
  const { client, response, forward, controller } = await open(t, { stallMs: 20 })
  const { socket } = response
  forward.onResponseStart(controller, 200, { 'content-type': 'text/event-stream' })
  const frame = Buffer.from(`data: ${'x'.repeat(2000)}\n\n`)
  // Until the kernel takes no more, and the little that is left makes nobody wait yet.
  while (socket?.writableLength === 0) {
    forward.onResponseData(controller, frame)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(response.writableNeedDrain, false)
  forward.onResponseError(undefined, new Error('gone'))
  t.match(await forward.outcome, { kind: 'failed', stage: 'stream' })
  await once(response, 'close')
  client.destroy()
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
