import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { createHub, type Hub } from '../../src/hub.ts'
import { answerNever, chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, join, type RunningHub, startHub } from '../support/hub.ts'
import { manageRoom, startRequest } from '../support/managed.ts'
import { ownPort } from '../support/ports.ts'
import { dial } from '../support/raw-client.ts'
import { readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

const HUB = fileURLToPath(new URL('../../src/hub.ts', import.meta.url))

/** Far more than any grace period here, far less than the test may take. */
const PATIENCE_MS = 10_000

/** Whether the hub comes to its end by itself, with these connections open. */
async function closesWith(t: Test, { hub, url }: RunningHub, bytes?: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (bytes !== undefined) socket.write(bytes)
  // The hub has taken the connection when it answers on a later one.
  await call('GET', `${url}/health`)
  return endsInTime(t, hub.close(), socket)
}

async function endsInTime(t: Test, closed: Promise<void>, socket: Socket): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), PATIENCE_MS)
  const isClosed = await Promise.race([closed.then(() => true), late])
  clearTimeout(timer)
  t.teardown(() => socket.destroy())
  if (!isClosed) socket.destroy()
  return isClosed
}

t.test('closing twice waits for the same end', async (t) => {
  const { hub, url } = await startHub(t)
  const [first, second] = [hub.close(), hub.close()]
  t.equal(first, second)
  await first
  await hub.close()
  await t.rejects(call('GET', `${url}/health`))
})

t.test('a hub that never listened closes too', async (t) => {
  const idle = createHub({ port: 0 })
  await idle.close()
  const ready = createHub({ port: 0 })
  await ready.ready()
  await ready.close()
  t.pass('both have ended')
})

t.test('a hub that could not listen closes too', async (t) => {
  const { url } = await startHub(t)
  const other = createHub({ host: '127.0.0.1', port: Number(new URL(url).port) })
  await t.rejects(other.listen(), { code: 'EADDRINUSE' })
  await other.close()
})

t.test('the port is free at once, while what runs goes on', async (t) => {
  const port = await ownPort()
  const [{ url, hub }, llm] = [await startHub(t, { port, graceMs: 60_000 }), await startFakeLlm(t, answerNever)]
  const { room, chat } = await manageRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  const answer = chat()
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  const closed = hub.close()
  const next = createHub({ host: '127.0.0.1', port })
  t.teardown(() => next.close())
  await eventually(() => true, 'a turn of the event loop')
  t.equal(await next.listen(), url)
  llm.answer(answerNever)
  for (const socket of llm.sockets) socket.destroy()
  t.equal((await answer).status, 502)
  await closed
})

t.test('who waits in the grace is served by whom no heartbeat can keep online any more', async (t) => {
  const { hub, url } = await startHub(t, { graceMs: 60_000, defaultSlots: 1, offlineAfterMs: 300, healthTickMs: 20 })
  const { promise: isTime, resolve: finish } = Promise.withResolvers<void>()
  const llm = await startFakeLlm(t, async (_request, response) => {
    await isTime
    response.end('{"said":"all"}')
  })
  const { room, chat } = await manageRoom(url)
  const { participant } = await join(url, room.code, { endpoint: llm.url })
  const beat = setInterval(() => call('POST', `${url}/rooms/${room.code}/health`, { id: participant.id }), 50)
  const [first, second] = [chat(), chat()]
  const app = await hub.app
  await eventually(() => llm.requests.length === 1 && app.ollamaProxy.waiting === 1, 'one that runs, one that waits')
  clearInterval(beat)
  const closed = hub.close()
  // Far longer than without a heartbeat it is online.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  finish()
  t.match(await first, { status: 200, body: { said: 'all' } })
  t.match(await second, { status: 200, body: { said: 'all' } })
  await closed
})

t.test('a hub that is closed while it begins to listen, or before, listens no more', async (t) => {
  const begin: ((hub: Hub) => unknown)[] = [
    () => {},
    (hub) => hub.listen(),
    (hub) => Promise.all([hub.listen(), hub.ready()]),
  ]
  for (const start of begin) {
    const hub = createHub({ host: '127.0.0.1', port: 0 })
    const started = start(hub)
    await hub.close()
    await started
    t.notOk((await hub.app).server.listening)
    await t.rejects(hub.listen(), { message: /does not start again/ })
    t.notOk((await hub.app).server.listening)
  }
})

t.test('what has not begun when the grace period is over: 503 in OpenAI’s shape', async (t) => {
  const [{ url, hub }, llm] = [await startHub(t, { graceMs: 50 }), await startFakeLlm(t, answerNever)]
  const { room, chat } = await manageRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  const answer = chat()
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  await hub.close()
  const { status, body } = await answer
  t.equal(status, 503)
  t.hasStrict(body.error, { message: 'The hub is shutting down: try again in a moment', code: 'PTL_HUB_CLOSING' })
})

t.test('every event stream ends, properly and with a comment', async (t) => {
  const { url, hub } = await startHub(t)
  const { base } = await manageRoom(url)
  const readers = await Promise.all([`${base}/events`, `${url}/events`].map((path) => readEvents(t, path)))
  await hub.close()
  for (const reader of readers) {
    await reader.ended
    t.equal(reader.response.complete, true)
    t.match(reader.frames.at(-1)?.text, /^: .*shutting down/)
  }
})

/** A join that the hub is busy with: checking the password takes some 30 ms off the event loop. */
async function startJoin(t: Test, running: RunningHub, agent: Agent | false) {
  const { base } = await manageRoom(running.url, { name: 'Vault', password: 'open sesame' })
  const entry = { id: 'alice', nickname: 'A', model: 'm', endpoint: 'http://127.0.0.1:1', password: 'open sesame' }
  const { roomStore } = await running.hub.app
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const { visitRoom } = roomStore
  roomStore.visitRoom = (code, at) => {
    resolve()
    return visitRoom(code, at)
  }
  const outgoing = request(`${base}/join`, { method: 'POST', agent }).end(JSON.stringify(entry))
  t.teardown(() => outgoing.destroy())
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  await begun
  await new Promise(setImmediate)
  return { outgoing, answered }
}

t.test('a request that was under way is finished, or told that the hub closes', async (t) => {
  const running = await startHub(t)
  const { answered } = await startJoin(t, running, false)
  const closed = running.hub.close()
  const [response] = await answered
  const body = await text(response)
  t.ok([201, 503].includes(response.statusCode ?? 0), body)
  await closed
})

t.test('its connection, though it is to be kept, does not keep the hub from closing', async (t) => {
  const running = await startHub(t)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const { outgoing, answered } = await startJoin(t, running, agent)
  const closed = running.hub.close()
  const [response] = await answered
  await text(response)
  t.equal(await endsInTime(t, closed, outgoing.socket as Socket), true)
})

t.test('a kept connection that is idle does not keep the hub from closing', async (t) => {
  const running = await startHub(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const outgoing = request(`${running.url}/health`, { agent }).end()
  const [response] = await once(outgoing, 'response')
  response.resume()
  const { socket } = outgoing
  await once(response, 'end')
  t.equal(await endsInTime(t, running.hub.close(), socket as Socket), true)
})

// Browsers open connections on suspicion, and ask nothing on most of them.
t.test('nor does a connection on which nothing was ever asked', async (t) => {
  t.equal(await closesWith(t, await startHub(t)), true)
})

t.test('nor half a request line', async (t) => {
  t.equal(await closesWith(t, await startHub(t), 'GET /hea'), true)
})

t.test('nor half a body', async (t) => {
  const bytes = 'POST /rooms HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"name":'
  t.equal(await closesWith(t, await startHub(t), bytes), true)
})

t.test('nor a subscriber that reads nothing', async (t) => {
  t.equal(await closesWith(t, await startHub(t), 'GET /events HTTP/1.1\r\nhost: x\r\n\r\n'), true)
})

t.test('nor an upgrade that was refused, however long what runs may go on', async (t) => {
  const running = await startHub(t, { graceMs: 60_000 })
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  const { socket, hears } = dial(Number(new URL(running.url).port))
  socket.write(`GET /rooms/NOSUCH/tunnel HTTP/1.1\r\nHost: hub\r\n${upgrade}`)
  await hears('Room not found')
  t.equal(await endsInTime(t, running.hub.close(), socket), true)
})

/** Fastify gives its hooks ten seconds, the closing ones too. */
const FASTIFY_PATIENCE_MS = 10_000

t.test('what runs longer than Fastify waits by itself ends within its grace all the same', async (t) => {
  const running = await startHub(t, { graceMs: 60_000 })
  const llm = await startFakeLlm(t, async (_request, response) => {
    await new Promise((resolve) => setTimeout(resolve, FASTIFY_PATIENCE_MS + 500))
    response.end('{"said":"all"}')
  })
  const { room, chat } = await manageRoom(running.url)
  await join(running.url, room.code, { endpoint: llm.url })
  const answer = chat()
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  await running.hub.close()
  t.match(await answer, { status: 200, body: { said: 'all' } })
})

/** A client that has stopped reading in the midst of a large answer. */
async function startStalledClient(t: Test, running: RunningHub, bytes: number) {
  let written = 0
  const llm = await startFakeLlm(t, async (_request, response) => {
    startStream(response)
    while (written < bytes && !response.destroyed) {
      written += 60_000
      if (!response.write(chunkOf('x'.repeat(60_000)))) await new Promise((resolve) => response.once('drain', resolve))
    }
    response.end('data: [DONE]\n\n')
  })
  const { room, base } = await manageRoom(running.url)
  await join(running.url, room.code, { endpoint: llm.url })
  const { response } = await startRequest(t, `${base}/v1/chat/completions`, { messages: [], stream: true })
  response.pause()
  let [last, quiet] = [0, 0]
  // Full buffers announce themselves by nothing but silence.
  await eventually(() => {
    quiet = written === last ? quiet + 1 : 0
    last = written
    return quiet > 20
  }, 'full buffers')
  return response
}

t.test('nor a client that does not read its stream, once the grace period is over', async (t) => {
  const running = await startHub(t, { graceMs: 100 })
  const { socket } = await startStalledClient(t, running, Number.POSITIVE_INFINITY)
  t.equal(await endsInTime(t, running.hub.close(), socket), true)
})

t.test('nor one that does not read the end of an answer that has ended', async (t) => {
  const running = await startHub(t, { graceMs: 100 })
  const { socket } = await startStalledClient(t, running, 100_000)
  t.equal(await endsInTime(t, running.hub.close(), socket), true)
})

/** Joins, heartbeats and reads as fast as it can while the hub closes in the midst of it; whatever is thrown ends it. */
const PROGRAM = `
const { createHub } = await import(process.argv[1])
const hub = createHub({ host: '127.0.0.1', port: 0, graceMs: 100, healthTickMs: 10, probeIntervalMs: 10 })
const url = await hub.listen()
const post = (path, body) => fetch(url + path, { method: 'POST', body: JSON.stringify(body) }).then((r) => r.json())
const { room } = await post('/rooms', { name: 'Vault', password: 'open sesame' })
const entry = { nickname: 'A', model: 'm', endpoint: 'http://127.0.0.1:1', password: 'open sesame' }
const work = Array.from({ length: 40 }, async (_, index) => {
  const id = 'p' + index
  await post('/rooms/' + room.code + '/join', { ...entry, id, liveness: index % 2 ? 'probe' : 'heartbeat' })
  for (;;) await post('/rooms/' + room.code + '/health', { id })
})
const ended = Promise.allSettled(work)
await new Promise((resolve) => setTimeout(resolve, 150))
await hub.close()
await ended
console.log('ended')
`

t.test('a hub that closes amid joins, heartbeats and probes rejects nothing unhandled', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, HUB], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const [code] = await once(child, 'close')
  t.strictSame({ code, ...said }, { code: 0, stdout: 'ended\n', stderr: '' })
})
