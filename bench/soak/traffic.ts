/** What people do to a hub, well and badly, all at once. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, type Dispatcher } from 'undici'
import { Connection, requestBytes, type Target } from '../load/connection.ts'
import { MODEL, requestBody, type Wish } from '../workload.ts'

export interface World {
  readonly url: string
  /** Of the fake LLM server. */
  readonly llmPort: number
  /** The room that everybody uses. */
  readonly code: string
  /** Nobody listens there. */
  readonly deadPort: number
}

const HEADERS = { 'content-type': 'application/json' }

/** Closed when the traffic ends: what then still stands is the hub's. */
let agent = new Agent()
const connections = new Set<Connection>()

async function call(
  method: Dispatcher.HttpMethod,
  url: string,
  body?: object | string,
  headers = {},
): Promise<{ status: number; text: string }> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const { origin, pathname: path } = new URL(url)
  const options = {
    origin,
    path,
    method,
    headers: { ...HEADERS, ...headers },
    ...(text === undefined ? {} : { body: text }),
  }
  const response = await agent.request(options)
  return { status: response.statusCode, text: await response.body.text() }
}

async function hangUp(): Promise<void> {
  for (const connection of connections) connection.close()
  connections.clear()
  await agent.close()
  agent = new Agent()
}

async function expect(status: number, asked: ReturnType<typeof call>): Promise<string> {
  const { status: found, text } = await asked
  if (found !== status) throw new Error(`status ${found} instead of ${status}: ${text}`)
  return text
}

export interface OpenedRoom {
  readonly code: string
  readonly hostToken: string
}

export async function openRoom(url: string): Promise<OpenedRoom> {
  const text = await expect(201, call('POST', `${url}/rooms`, { name: 'Soak' }))
  const { room, hostToken } = JSON.parse(text) as { room: { code: string }; hostToken: string }
  return { code: room.code, hostToken }
}

/** @returns its token */
export async function join(url: string, code: string, id: string, port: number, model = MODEL): Promise<string> {
  const entry = { id, nickname: id, model, endpoint: `http://127.0.0.1:${port}`, slots: 2000 }
  const text = await expect(201, call('POST', `${url}/rooms/${code}/join`, entry))
  return (JSON.parse(text) as { token: string }).token
}

/** The model that only participants without a server offer. */
export const DEAD_MODEL = 'dead-model'

function targetOf({ url, code }: World): Target {
  return { port: Number(new URL(url).port), path: `/rooms/${code}/v1/chat/completions`, headers: {} }
}

/** Numbers what must have a name of its own. */
let count = 0

function next(name: string): string {
  count += 1
  return `${name}-${count}`
}

type Activity = (world: World) => Promise<void>

/** Over a keep-alive connection of its own. */
function asking(wish: Wish, ...statuses: number[]): Activity {
  let connection: Connection | undefined
  return async (world) => {
    const target = targetOf(world)
    if (connection === undefined || !connections.has(connection)) connection = new Connection(target.port)
    connections.add(connection)
    const found = await connection.ask(requestBytes(target, requestBody(wish)), () => {})
    const allowed = statuses.length === 0 ? [200] : statuses
    if (!allowed.includes(found)) throw new Error(`status ${found} instead of ${allowed.join(' or ')}`)
  }
}

/** Who is aborted in prefill has reached the server by then. */
const PREFILL_MS = 20

/** The client hangs up behind so many pieces of the answer, or after a while if there are none. */
function aborting(wish: Wish, pieces: number): Activity {
  return async (world) => {
    const target = targetOf(world)
    const connection = new Connection(target.port)
    const { promise: isEnough, resolve } = Promise.withResolvers<void>()
    let seen = 0
    const see = () => {
      seen += 1
      if (seen === pieces) resolve()
    }
    const answer = connection.ask(requestBytes(target, requestBody(wish)), see).catch(() => {})
    await Promise.race([answer, pieces === 0 ? sleep(PREFILL_MS) : isEnough])
    connection.close()
    await answer
  }
}

/** A stream that breaks off is told to the client by a cut connection. */
const brokenStream: Activity = async (world) => {
  const target = targetOf(world)
  const connection = new Connection(target.port)
  const request = requestBytes(target, requestBody({ kind: 'break', chunks: 5, everyMs: 1 }))
  const isWhole = await connection
    .ask(request, () => {})
    .then(
      () => true,
      () => false,
    )
  connection.close()
  if (isWhole) throw new Error('A broken stream looked whole')
}

const deadServer: Activity = async ({ url, code }) => {
  const body = { model: DEAD_MODEL, messages: [] }
  await expect(502, call('POST', `${url}/rooms/${code}/v1/chat/completions`, body))
}

const nonsense: Activity = async ({ url, code }) => {
  await expect(400, call('POST', `${url}/rooms/${code}/v1/chat/completions`, '{"model": '))
  await expect(404, call('GET', `${url}/rooms/${next('no')}/participants`))
}

const watching: Activity = async ({ url, code }) => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {}).resume()
  socket.write(`GET /rooms/${code}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
  await sleep(50 + Math.random() * 200)
  socket.destroy()
}

const guest: Activity = async ({ url, code, llmPort }) => {
  const id = next('guest')
  const token = await join(url, code, id, llmPort)
  await expect(200, call('POST', `${url}/rooms/${code}/health`, { id }))
  await expect(200, call('POST', `${url}/rooms/${code}/v1/chat/completions`, { model: id, messages: [] }))
  await expect(200, call('DELETE', `${url}/rooms/${code}/leave/${id}`, undefined, { authorization: `Bearer ${token}` }))
}

const shortRoom: Activity = async ({ url, llmPort }) => {
  const { code, hostToken } = await openRoom(url)
  await join(url, code, next('short'), llmPort)
  await expect(200, call('POST', `${url}/rooms/${code}/v1/chat/completions`, { model: '*', messages: [] }))
  await expect(200, call('DELETE', `${url}/rooms/${code}`, undefined, { authorization: `Bearer ${hostToken}` }))
}

const listing: Activity = async ({ url, code }) => {
  for (const path of [
    '/rooms',
    `/rooms/${code}`,
    `/rooms/${code}/participants`,
    `/rooms/${code}/v1/models`,
    '/health',
  ]) {
    await expect(200, call('GET', `${url}${path}`))
  }
}

const heartbeat: Activity = async ({ url, code }) => {
  for (const id of ['llm-1', 'dead-1']) await expect(200, call('POST', `${url}/rooms/${code}/health`, { id }))
  await sleep(2000)
}

/** Each runs over and over, in a worker of its own. */
const ACTIVITIES: readonly (readonly [name: string, activity: Activity])[] = [
  ...Array.from({ length: 4 }, () => ['plain', asking({ kind: 'plain' })] as const),
  ...Array.from({ length: 8 }, () => ['streamed', asking({ kind: 'stream', chunks: 40, everyMs: 2 })] as const),
  ['burst', asking({ kind: 'stream', chunks: 200, perTick: 20 })],
  // Its own answer, or that of whoever was asked after it.
  ['failing server', asking({ kind: 'fail' }, 500, 502)],
  ['broken stream', brokenStream],
  ['dead server', deadServer],
  ['aborted in prefill', aborting({ kind: 'never' }, 0)],
  ['aborted stream', aborting({ kind: 'stream', chunks: 1000, everyMs: 2 }, 3)],
  ['aborted burst', aborting({ kind: 'stream', chunks: 1000, perTick: 50 }, 3)],
  ['nonsense', nonsense],
  ...Array.from({ length: 10 }, () => ['subscriber', watching] as const),
  ['join and leave', guest],
  ['short room', shortRoom],
  ['listing', listing],
  ['heartbeat', heartbeat],
]

/** Between two of one worker: what is looked for is what stays behind, not how much goes through. */
const PAUSE_MS = 5

/** Nothing here takes so long, unless it hangs. */
const PATIENCE_MS = 20_000

async function within(activity: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(new Error(`nothing came of it within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS)
  await Promise.race([activity, promise])
  clearTimeout(timer)
}

/** @returns how often each was done @throws where anything but what should happens */
export async function makeTraffic(world: World, seconds: number): Promise<Map<string, number>> {
  const done = new Map<string, number>()
  const until = performance.now() + seconds * 1000
  const work = async (name: string, activity: Activity) => {
    while (performance.now() < until) {
      await within(activity(world)).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`, { cause: error })
      })
      done.set(name, (done.get(name) ?? 0) + 1)
      await sleep(PAUSE_MS)
    }
  }
  await Promise.all(ACTIVITIES.map(([name, activity]) => work(name, activity)))
  await hangUp()
  return done
}
