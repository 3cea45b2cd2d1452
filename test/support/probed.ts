import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import type { Answerer } from './fake-llm.ts'
import { call, type Joined, join } from './hub.ts'
import { type ManagedRoom, manageRoom } from './managed.ts'
import { startTimedHub, type TimedHub } from './manual-time.ts'
import { ownPort } from './ports.ts'

export const PROBE_INTERVAL_MS = 10_000
export const PROBE_MAX_INTERVAL_MS = 60_000

export interface ProbingRoom extends TimedHub, ManagedRoom {
  joinProbed(endpoint: string, id?: string): Promise<Joined>
  /** Probes that are due, and their end. */
  probe(): Promise<void>
  /** Time as it usually passes: a look at who is silent and one at who is to be probed, each second. */
  live(ms: number): Promise<void>
}

/** A room whose time passes as the test says, and whose probes go over real sockets. */
export async function startProbingRoom(t: Test, options: HubOptions = {}): Promise<ProbingRoom> {
  const intervals = { probeIntervalMs: PROBE_INTERVAL_MS, probeMaxIntervalMs: PROBE_MAX_INTERVAL_MS }
  const timed = await startTimedHub(t, { ...intervals, probeTimeoutMs: 300, ...options })
  const managed = await manageRoom(timed.url)
  const { prober } = (await timed.hub.app).healthMonitor
  const live = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1000) {
      await timed.pass(1000)
      await prober.tick()
    }
  }
  const joinProbed = (endpoint: string, id = 'alice') =>
    join(timed.url, managed.room.code, { id, endpoint, liveness: 'probe' })
  return { ...timed, ...managed, joinProbed, probe: () => prober.tick(), live }
}

/** What an OpenAI-compatible server says at GET /v1/models, and 404 at everything else. */
export const answerModels: Answerer = ({ path }, response) => {
  if (!path.endsWith('/v1/models')) response.writeHead(404)
  response.setHeader('content-type', 'application/json')
  response.end('{"object":"list","data":[{"id":"llama3.2:3b","object":"model"}]}')
}

export interface StoppableLlm {
  url: string
  stop(): Promise<void>
  /** On the same port as before. */
  start(): Promise<void>
}

/** An LLM server that goes away and comes back, as one on a laptop does. */
export async function startStoppableLlm(t: Test): Promise<StoppableLlm> {
  const answer: RequestListener = (_request, response) => response.end('{"data":[]}')
  let server = createServer(answer)
  const port = await ownPort()
  const listen = async () => {
    server = createServer(answer).listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await listen()
  t.teardown(stop)
  return { url: `http://127.0.0.1:${port}`, stop, start: listen }
}

/** By its address, as a client without a token does. */
export async function leave({ base }: ManagedRoom, id = 'alice'): Promise<void> {
  await call('DELETE', `${base}/leave/${id}`)
}
