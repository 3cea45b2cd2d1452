import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Dispatcher } from 'undici'
import { Forward } from '../../plugins/ollama-proxy/forward.ts'
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

t.test('who goes with the whole answer unread holds up no connection of the participant', async (t) => {
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
    stallMs: 60_000,
    firstByteMs: 1000,
    onSettled: () => {},
    who: 'alice',
  })
  const told: string[] = []
  const controller = {
    pause: () => told.push('pause'),
    resume: () => told.push('resume'),
    abort: () => told.push('abort'),
  } as unknown as Dispatcher.DispatchController
  const whole = Buffer.alloc(16 * 1024 * 1024, ' ')
  forward.onRequestStart(controller)
  forward.onResponseStart(controller, 200, {
    'content-type': 'application/json',
    'content-length': String(whole.length),
  })
  forward.onResponseData(controller, whole)
  await once(client, 'response')
  client.destroy()
  t.match(await forward.outcome, { kind: 'complete' })
  t.strictSame(told, ['pause', 'resume'])
})

for (const [frames, outcome] of [
  ['data: {}\n\ndata: [DONE]\n\n', 'complete'],
  ['data: {}\n\n', 'cancelled'],
] as const) {
  t.test(
    `who goes ${outcome === 'complete' ? 'at a stream’s own end has not given up' : 'before it has'}`,
    async (t) => {
      const server = createServer().listen(0, '127.0.0.1')
      t.teardown(() => server.close().closeAllConnections())
      await once(server, 'listening')
      const client = get({ port: (server.address() as AddressInfo).port, agent: false }).on('error', () => {})
      const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
      const forward = new Forward({
        response,
        protocol: openaiChat,
        meter: new Meter({ protocol: openaiChat, startedAt: 0, sentAt: 0, requestBytes: 0 }),
        now: () => 0,
        startedAt: 0,
        replyHeaders: [],
        onTakeOver: () => {},
        stallMs: 60_000,
        firstByteMs: 1000,
        onSettled: () => {},
        who: 'alice',
      })
      const told: string[] = []
      const controller = { abort: () => told.push('abort') } as unknown as Dispatcher.DispatchController
      forward.onRequestStart(controller)
      forward.onResponseStart(controller, 200, { 'content-type': 'text/event-stream' })
      forward.onResponseData(controller, Buffer.from(frames))
      const [incoming] = (await once(client, 'response')) as [IncomingMessage]
      await once(incoming, 'data')
      client.destroy()
      t.match(await forward.outcome, { kind: outcome })
      t.strictSame(told, ['abort'], 'the participant is told that nobody reads any more')
    },
  )
}
