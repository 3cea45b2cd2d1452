import { request } from 'node:http'
import t, { type Test } from 'tap'
import { createHub } from '../../src/hub.ts'
import { type Answerer, answerBrokenStream, answerNever, answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { keepLog } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

/** pino's numbers. */
const [DEBUG, INFO, ERROR] = [20, 30, 50]

type Line = Record<string, unknown> & { level: number; msg: string; reqId: string }

async function startRoom(t: Test, answerer?: Answerer) {
  const log = keepLog()
  const [{ url, hub }, llm] = [await startHub(t, { logger: log.logger, graceMs: 50 }), await startFakeLlm(t, answerer)]
  const managed = await manageRoom(url)
  const { token } = await join(url, managed.room.code, { endpoint: llm.url })
  const lines = () => log.lines.map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg === 'request')
  await eventually(() => lines().length === 2, 'the lines of opening and joining')
  /** The line of the request that comes next. */
  const lineOf = async (ask: () => Promise<unknown>): Promise<Line> => {
    const before = lines().length
    await ask()
    await eventually(() => lines().length > before, 'the line of the request')
    return lines()[before] as Line
  }
  return { ...managed, url, hub, llm, token, log, lines, lineOf, path: `${managed.base}/v1/chat/completions` }
}

t.test('one line a request: id, method, route, status, duration, from where', async (t) => {
  const { url, lineOf, lines } = await startRoom(t)
  const line = await lineOf(() => call('GET', `${url}/rooms?limit=3`))
  t.hasStrict(line, { level: INFO, method: 'GET', route: '/rooms', status: 200, remote: '127.0.0.1' })
  t.match(line.reqId, /^[\w-]+$/)
  t.ok((line.durationMs as number) >= 0)
  t.notOk('room' in line || 'participant' in line)
  t.equal(new Set(lines().map(({ reqId }) => reqId)).size, 3, 'each request has its own id')
})

t.test('a request to a room names it, in upper case, and the route instead of the path', async (t) => {
  const { url, room, lineOf } = await startRoom(t)
  const line = await lineOf(() => call('GET', `${url}/rooms/${room.code.toLowerCase()}/participants/alice`))
  t.hasStrict(line, { route: '/rooms/:code/participants/:id', room: room.code, status: 200 })
})

t.test('inference: who answered, the model, the time to the first byte, the duration, the tokens', async (t) => {
  const { path, lineOf } = await startRoom(t)
  const line = await lineOf(() => call('POST', path, { model: 'alice', messages: [] }))
  t.hasStrict(line, {
    participant: 'alice',
    model: 'alice',
    stream: false,
    outcome: 'complete',
    status: 200,
    tokens: 3,
  })
  t.ok((line.ttftMs as number) >= 0)
  t.ok((line.durationMs as number) >= 0)
})

t.test('inference, streamed: one line when it has ended', async (t) => {
  const { room, path, lines, lineOf } = await startRoom(t, answerStream(['one', 'two', 'three']))
  const body = JSON.stringify({ model: '*', messages: [], stream: true })
  const line = await lineOf(async () => (await fetch(path, { method: 'POST', body })).text())
  t.hasStrict(line, { room: room.code, participant: 'alice', stream: true, outcome: 'complete', status: 200 })
  t.equal(lines().length, 3)
})

t.test('the id in the log is the one that the client is told', async (t) => {
  const { path, lineOf } = await startRoom(t)
  let told: string | null = null
  const line = await lineOf(async () => {
    told = (await call('POST', path, { model: '*', messages: [] })).headers.get('x-potluck-request-id')
  })
  t.equal(told, line.reqId)
})

t.test('a participant that failed: who, and why', async (t) => {
  const { path, lineOf } = await startRoom(t, (_request, response) => void response.destroy())
  const line = await lineOf(() => call('POST', path, { model: '*', messages: [] }))
  t.hasStrict(line, { status: 502, participant: 'alice', outcome: 'failed' })
  t.match(line.reason, /^Connection (closed|reset)$/)
})

t.test('a participant that broke off: the status that the client saw, and why', async (t) => {
  const { path, lineOf } = await startRoom(t, answerBrokenStream(['one']))
  const body = JSON.stringify({ model: '*', messages: [], stream: true })
  const line = await lineOf(async () => (await fetch(path, { method: 'POST', body })).text().catch(() => {}))
  t.hasStrict(line, { status: 200, participant: 'alice', outcome: 'failed' })
})

t.test('a participant that refused', async (t) => {
  const { path, lineOf } = await startRoom(t, (_request, response) => void response.writeHead(429).end('{}'))
  const line = await lineOf(() => call('POST', path, { model: '*', messages: [] }))
  t.hasStrict(line, { status: 429, participant: 'alice', outcome: 'refused', reason: 'The participant answered 429' })
})

t.test('a client that went away before there was an answer: 499', async (t) => {
  const { path, llm, lineOf } = await startRoom(t, answerNever)
  const line = await lineOf(async () => {
    const outgoing = request(path, { method: 'POST', agent: false }).on('error', () => {})
    outgoing.end('{"model":"*","messages":[]}')
    await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
    outgoing.destroy()
  })
  t.hasStrict(line, { status: 499, participant: 'alice', outcome: 'cancelled' })
})

t.test('a request that reached nobody names nobody', async (t) => {
  const { path, lineOf } = await startRoom(t)
  const line = await lineOf(() => call('POST', path, { model: 'nobody', messages: [] }))
  t.equal(line.status, 404)
  t.notOk('participant' in line)
})

t.test('refusals have their line too', async (t) => {
  const { base, url, lineOf } = await startRoom(t)
  const asked = [
    [() => call('PATCH', base, { name: 'x' }), 401, '/rooms/:code'],
    [() => call('POST', `${url}/rooms`, '{'), 400, '/rooms'],
    [() => call('GET', `${url}/rooms/ABC234`), 404, '/rooms/:code'],
    [() => call('GET', `${url}/nowhere/at/all?x=1`), 404, 'unknown'],
    [() => call('POST', `${url}/rooms`, `"${'x'.repeat(70_000)}"`), 413, '/rooms'],
  ] as const
  for (const [ask, status, route] of asked) t.hasStrict(await lineOf(ask), { level: INFO, status, route })
})

t.test('what machines ask every few seconds is told at debug alone', async (t) => {
  const { url, base, token, lineOf } = await startRoom(t)
  for (const path of ['/health', '/livez', '/readyz']) {
    t.hasStrict(await lineOf(() => call('GET', `${url}${path}`)), { level: DEBUG, route: path, status: 200 })
  }
  const beat = await lineOf(() => call('POST', `${base}/health`, { id: 'alice' }, bearer(token)))
  t.hasStrict(beat, { level: DEBUG, route: '/rooms/:code/health', status: 200 })
  const participant = '/rooms/:code/participants/:id'
  const look = await lineOf(() => call('GET', `${base}/participants/alice`))
  t.hasStrict(look, { level: DEBUG, route: participant, status: 200 })
  const change = await lineOf(() => call('PATCH', `${base}/participants/alice`, { paused: true }, bearer(token)))
  t.hasStrict(change, { level: INFO, route: participant, status: 200 })
})

t.test('an event stream has its line when it has ended', async (t) => {
  const { base, room, lines, lineOf } = await startRoom(t)
  const line = await lineOf(async () => {
    const reader = await readEvents(t, `${base}/events`)
    await reader.next('connected')
    t.equal(lines().length, 2, 'not before')
    reader.close()
  })
  t.hasStrict(line, { route: '/rooms/:code/events', status: 200, room: room.code })
})

t.test('a fault of the hub itself is logged with its details, and told without them', async (t) => {
  const { logger, lines } = keepLog()
  // Not by `startHub`: no description has a place for faults.
  const hub = createHub({ host: '127.0.0.1', port: 0, logger })
  t.teardown(() => hub.close())
  const url = await hub.listen()
  const { roomStore } = await hub.app
  roomStore.listRooms = () => Promise.reject(new Error('the disk is full'))
  const { status, body } = await call('GET', `${url}/rooms`)
  t.strictSame([status, body], [500, { error: 'The hub failed at this request; its log says why' }])
  await eventually(() => lines.some((line) => line.includes('"msg":"request"')), 'the line of the request')
  const told = lines.map((line) => JSON.parse(line) as Line)
  const { reqId } = told.find(({ msg }) => msg === 'request') as Line
  t.hasStrict(
    told.find(({ level }) => level === ERROR),
    { reqId, err: { message: 'the disk is full' } },
  )
})

t.test('every line is one line of JSON, whatever was asked for', async (t) => {
  const { url, base, log, lineOf } = await startRoom(t)
  await lineOf(() => call('GET', `${url}/a%0Ab%22%7D`))
  await lineOf(() => call('POST', `${base}/v1/chat/completions`, { model: 'x"}\u2028{"', messages: [] }))
  for (const line of log.lines) {
    t.equal(line.indexOf('\n'), line.length - 1)
    t.doesNotThrow(() => JSON.parse(line))
  }
})
