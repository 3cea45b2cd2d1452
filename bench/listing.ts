/**
 * What many rooms and participants cost a hub: memory, the time of its regular work, and how long its event loop stands
 * still meanwhile. Takes less than a minute.
 *
 *   node bench/listing.ts
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { hashToken } from '../plugins/access/tokens.ts'
import { createHealthMonitor, type HealthMonitor } from '../plugins/health-monitor/monitor.ts'
import { findCandidates } from '../plugins/ollama-proxy/routing.ts'
import { MemoryRoomStore } from '../plugins/room-store/memory-store.ts'
import type { NewParticipant, NewRoom, RoomStore } from '../plugins/room-store/store.ts'
import { NO_ALIASES } from '../schemas/aliases.ts'
import { createHub } from '../src/hub.ts'

const ROOMS = 100_000
const PARTICIPANTS = 10_000
const PAGE = 100
/** Of each request; the median counts. */
const ROUNDS = 7

const START = Date.now()
const OFFLINE_AFTER_MS = 30_000
const TICK_MS = 60_000
const TTL_MS = 5 * TICK_MS

interface Row {
  what: string
  figure: string
  /** ms in which nothing else of the hub ran. */
  'longest block, ms'?: string
}

const rows: Row[] = []

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function heapBytes(): number {
  collectGarbage()
  return process.memoryUsage().heapUsed
}

function newRoom(index: number): NewRoom {
  const host = { hostId: crypto.randomUUID(), hostTokenHash: hashToken(String(index)) }
  return { name: `Room number ${index}`, ...host, listed: true, defaults: {}, createdAt: START }
}

function newParticipant(index: number): NewParticipant {
  const model = `model-${index % 100}:8b`
  const id = `participant-${index}`
  const endpoint = `http://10.0.${index >> 8}.${index & 255}:11434`
  const shown = { id, nickname: `Nickname ${index}`, model, models: [model], endpoint, specs: { ram: 32 }, config: {} }
  return {
    participant: { ...shown, status: 'online', joinedAt: START, lastSeen: START },
    target: { origin: endpoint, basePath: '' },
    owner: { tokenHash: hashToken(id), tokenUsed: false, address: '10.0.0.1' },
  }
}

async function openRooms(store: RoomStore, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index++) ids.push((await store.createRoom(newRoom(index))).room.id)
  return ids
}

/** @param roomOf which room the one of that number joins */
async function joinAll(store: RoomStore, roomOf: (index: number) => string): Promise<void> {
  for (let index = 0; index < PARTICIPANTS; index++) await store.join(roomOf(index), newParticipant(index), {})
}

async function elapsed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now()
  await run()
  return performance.now() - begun
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[values.length >> 1] ?? Number.NaN
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : Math.round(value)} ms`
}

/** Work that the store does within one turn of the event loop blocks it for as long as it takes. */
async function measureBlock(what: string, run: () => Promise<unknown>): Promise<void> {
  const took = await elapsed(run)
  rows.push({ what, figure: ms(took), 'longest block, ms': Math.round(took).toString() })
}

async function measureMemory(what: string, count: number, fill: () => Promise<unknown>): Promise<void> {
  const before = heapBytes()
  const took = await elapsed(fill)
  const each = (heapBytes() - before) / count
  rows.push({ what, figure: `${Math.round(each)} bytes each, ${((1000 * took) / count).toFixed(1)} µs each to make` })
}

/** The store alone, without events, HTTP or sockets. */
async function measureStore(): Promise<void> {
  const store = new MemoryRoomStore()
  let now = START
  const limits = { timeoutMs: OFFLINE_AFTER_MS, tickMs: TICK_MS, participantTtlMs: TTL_MS, roomTtlMs: TTL_MS }
  const monitor = createHealthMonitor({ store, clock: { now: () => now }, ...limits })
  let ids: string[] = []
  await measureMemory(`${ROOMS} rooms`, ROOMS, async () => {
    ids = await openRooms(store, ROOMS)
  })
  const [full = '', ...others] = ids
  await measureMemory(`${PARTICIPANTS} participants in one room`, PARTICIPANTS, () => joinAll(store, () => full))
  const spread = (index: number) => others[index * 9] ?? ''
  await measureMemory(`${PARTICIPANTS} participants in as many rooms`, PARTICIPANTS, () => joinAll(store, spread))
  await measureTick('tick, nobody silent', monitor)
  now += OFFLINE_AFTER_MS + 1
  await measureTick('tick, all participants silent', monitor)
  now += TTL_MS + 1
  await measureTick('tick, all participants expired, all other rooms idle', monitor)
}

async function measureTick(what: string, monitor: HealthMonitor): Promise<void> {
  let swept = {}
  const took = await elapsed(async () => {
    swept = await monitor.tick()
  })
  const counts = Object.entries(swept).map(([name, count]) => `${count} ${name}`)
  rows.push({ what, figure: `${ms(took)}: ${counts.join(', ')}`, 'longest block, ms': Math.round(took).toString() })
}

async function measureStoreEnds(): Promise<void> {
  const store = new MemoryRoomStore()
  const ids = await openRooms(store, ROOMS)
  const some = ids.filter((_, index) => index % 100 === 0)
  const took = await elapsed(async () => {
    for (const id of some) await store.closeRoom(id)
  })
  rows.push({ what: `closing one of ${ROOMS} rooms`, figure: `${((1000 * took) / some.length).toFixed(1)} µs` })
  await measureBlock(`closing a store of ${ROOMS} rooms`, () => store.close())
}

/** A client in a thread of its own, so that its work is none of the hub's. */
function startClient(): (url: string) => Promise<number> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const { get } = require('node:http')
     parentPort.on('message', (url) => get(url, (response) => {
       let bytes = 0
       response.on('data', (chunk) => { bytes += chunk.length }).on('end', () => parentPort.postMessage(bytes))
     }))`,
    { eval: true },
  )
  worker.unref()
  return (url) => {
    const { promise, resolve } = Promise.withResolvers<number>()
    worker.once('message', resolve)
    worker.postMessage(url)
    return promise
  }
}

/** The store as a hub has it: what is written becomes events, and those are kept for replay. */
async function fillHub(store: RoomStore): Promise<string> {
  let ids: string[] = []
  await measureMemory(`hub: ${ROOMS} rooms`, ROOMS, async () => {
    ids = await openRooms(store, ROOMS)
  })
  const [full = '', ...others] = ids
  await measureMemory(`hub: ${PARTICIPANTS} participants in one room`, PARTICIPANTS, () => joinAll(store, () => full))
  await measureMemory(`hub: ${PARTICIPANTS} participants in as many rooms`, PARTICIPANTS, () =>
    joinAll(store, (index) => others.at(-1 - index) ?? ''),
  )
  return full
}

async function measureHub(): Promise<void> {
  const hub = createHub({ host: '127.0.0.1', port: 0 })
  const url = await hub.listen()
  const { roomStore } = await hub.app
  const full = await fillHub(roomStore)
  await measureChoice(roomStore, full)
  await measureRequests(url, roomStore, (await roomStore.viewRoom(full)).code)
  await measureBlock(`hub.close() with ${ROOMS} rooms`, () => hub.close())
}

async function measureChoice(store: RoomStore, roomId: string): Promise<void> {
  const records = await store.listParticipants(roomId)
  for (const model of ['*', 'model-7:8b']) {
    const took: number[] = []
    for (let round = 0; round < ROUNDS; round++)
      took.push(await elapsed(async () => findCandidates(model, records, NO_ALIASES)))
    rows.push({ what: `candidates for ${model} among ${records.length}`, figure: ms(median(took)) })
  }
}

async function measureRequests(url: string, store: RoomStore, code: string): Promise<void> {
  const ask = startClient()
  const measure = (what: string, path: string) => measureRequest(what, () => ask(`${url}${path}`))
  await measure('GET /health', '/health')
  await measure(`GET /rooms, ${ROOMS} rooms`, '/rooms')
  await measure(`GET /rooms?limit=${PAGE}, first page`, `/rooms?limit=${PAGE}`)
  await measure(`GET /rooms?limit=${PAGE}, last page`, `/rooms?limit=${PAGE}&cursor=${await lastCursor(store)}`)
  await measure(`GET /rooms/:code/participants, ${PARTICIPANTS}`, `/rooms/${code}/participants`)
  await measure(`GET /rooms/:code/v1/models, ${PARTICIPANTS}`, `/rooms/${code}/v1/models`)
  const { rooms: old } = await store.listRooms({ limit: ROOMS / 2 })
  for (const { id } of old) await store.updateRoom(id, { listed: false })
  await measure(`GET /rooms?limit=${PAGE}, behind ${old.length} unlisted rooms`, `/rooms?limit=${PAGE}`)
}

async function lastCursor(store: RoomStore): Promise<string> {
  const { cursor = '' } = await store.listRooms({ limit: ROOMS - PAGE })
  return cursor
}

async function measureRequest(what: string, ask: () => Promise<number>): Promise<void> {
  let bytes = await ask()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const took: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    took.push(
      await elapsed(async () => {
        bytes = await ask()
      }),
    )
  }
  delay.disable()
  const size = `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KiB`
  rows.push({ what, figure: `${ms(median(took))}, ${size}`, 'longest block, ms': (delay.max / 1e6).toFixed(0) })
}

await measureStore()
await measureStoreEnds()
await measureHub()
console.table(rows)
