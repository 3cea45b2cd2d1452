import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { manifest } from '../../src/version.ts'
import { type Child, freePort, start, waitFor } from '../children.ts'
import { REPOSITORY, START } from '../paths.ts'
import { MODEL } from '../workload.ts'
import type { Party, RunningParty, Stage } from './party.ts'

const LOOPBACK = '127.0.0.1'

export interface HubOptions {
  /** @default 1 */
  readonly participants?: number
  /** Whether it writes its log and somebody watches the room's events, as in use. @default true */
  readonly isWatched?: boolean
  /** Flags for Node itself. */
  readonly nodeOptions?: readonly string[]
  /** Whether it takes calls of the bench, answered by a module that `nodeOptions` load. */
  readonly ipc?: boolean
}

export interface Hub {
  readonly child: Child
  readonly url: string
  readonly port: number
}

export interface Room {
  readonly code: string
  readonly path: string
}

/** As `npm start` does. */
export async function startHub(stage: Stage, name: string, options: HubOptions = {}): Promise<Hub> {
  const { isWatched = true, nodeOptions = [], ipc = false } = options
  const port = await freePort()
  const env = {
    PORT: String(port),
    HOST: '127.0.0.1',
    // Nobody sends heartbeats.
    POTLUCK_OFFLINE_AFTER_MS: '86400000',
    // All who watch come from one address.
    POTLUCK_NETWORK_CONNECTIONS: '20000',
    ...(isWatched ? {} : { POTLUCK_LOG_LEVEL: 'silent' }),
  }
  const flags = [...nodeOptions, ...profileFlags(stage, name)]
  const child = start(process.execPath, [...flags, ...START], {
    env,
    cwd: REPOSITORY,
    log: join(stage.workFolder, `${name}.log`),
    ipc,
  })
  const url = `http://127.0.0.1:${port}`
  await waitFor(`${url}/health`, child, 20_000)
  return { child, url, port }
}

function profileFlags({ profileFolder }: Stage, name: string): string[] {
  if (profileFolder === undefined) return []
  return ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`]
}

async function post<T>(url: string, body: object): Promise<T> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const response = await fetch(url, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname} answered ${response.status}: ${text}`)
  return JSON.parse(text) as T
}

/** A room whose participants all lead to the fake LLM server, each to an address of its own. */
export async function openRoom(hub: Hub, { llmPort, llmAddresses }: Stage, participants = 1): Promise<Room> {
  const room = await createRoom(hub)
  for (let index = 0; index < participants; index++) {
    const address = llmAddresses[index % llmAddresses.length] ?? LOOPBACK
    await joinRoom({ url: hub.url, code: room.code, address, llmPort, id: `llm-${index + 1}` })
  }
  return room
}

export async function createRoom({ url }: Hub): Promise<Room> {
  const { room } = await post<{ room: { code: string } }>(`${url}/rooms`, { name: 'Bench' })
  return { code: room.code, path: `/rooms/${room.code}/v1/chat/completions` }
}

/** More than there are requests at once: nobody is ever called full. */
const SLOTS = 2000

interface Joining {
  url: string
  code: string
  /** @default 127.0.0.1 */
  address?: string
  llmPort: number
  id: string
  isTunnelled?: boolean
}

export function joinRoom(joining: Joining): Promise<{ token: string }> {
  const { url, code, address = LOOPBACK, llmPort, id, isTunnelled = false } = joining
  const way = isTunnelled ? { tunnel: true } : { endpoint: `http://${address}:${llmPort}` }
  return post(`${url}/rooms/${code}/join`, { id, nickname: id, model: MODEL, slots: SLOTS, ...way })
}

/** Somebody who watches the room: reads its events and does nothing with them. @returns how to end it */
export async function watch({ port }: Hub, { code }: Room): Promise<() => void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(`GET /rooms/${code}/events HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  await once(socket, 'data')
  socket.resume()
  return () => socket.destroy()
}

export async function startPotluck(
  stage: Stage,
  { name, title }: Pick<Party, 'name' | 'title'>,
  options: HubOptions = {},
): Promise<RunningParty & { hub: Hub; room: Room }> {
  const hub = await startHub(stage, name, options)
  const room = await openRoom(hub, stage, options.participants)
  const unwatch = options.isWatched === false ? () => {} : await watch(hub, room)
  const target = { port: hub.port, path: room.path, headers: {} }
  const stop = async () => {
    unwatch()
    await hub.child.stop()
  }
  return { name, title, version: manifest.version, target, isExact: true, pid: hub.child.pid, stop, hub, room }
}

function potluck(name: string, title: string, options: HubOptions): Party {
  return { name, title, start: (stage) => startPotluck(stage, { name, title }, options) }
}

/** As in use, by the number of participants. */
export const potluck1 = potluck('potluck-1', 'Potluck, 1 participant', {})
export const potluck100 = potluck('potluck-100', 'Potluck, 100 participants', { participants: 100 })
export const potluck1000 = potluck('potluck-1000', 'Potluck, 1,000 participants', { participants: 1000 })
/** Forwarding alone. */
export const potluckSilent = potluck('potluck-silent', 'Potluck, no log, nobody watching', { isWatched: false })
