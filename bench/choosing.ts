/**
 * What choosing a participant costs: a slot claimed and given back among many participants, and requests that wait. Takes
 * less than a minute.
 *
 *   node bench/choosing.ts
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { BLOCK_BYTES, createAffinity } from '../plugins/ollama-proxy/choosing/affinity.ts'
import {
  type Asker,
  createScheduler,
  type Grant,
  type Kind,
  type Speed,
  type Waiting,
} from '../plugins/ollama-proxy/choosing/scheduler.ts'
import type { Outcome, Verdict } from './bench.ts'
import { kibibytes, number } from './format.ts'
import { median } from './statistics.ts'

const PARTICIPANTS = [1_000, 10_000, 100_000] as const
const QUEUE_LENGTHS = [100, 1_000, 10_000] as const
const LONGEST = QUEUE_LENGTHS[QUEUE_LENGTHS.length - 1]
const CLIENTS = [1, 100, 10_000] as const

const SLOTS = 4
/** Of the prompt of a conversation that goes on. */
const PROMPT_BYTES = 16 * 1024
/** Each with a client of its own. */
const CONVERSATIONS = 10_000

const CLAIM_TARGET_US = 20
const WAITING_TARGET_BYTES = 4096
/** What is further away in memory takes longer to reach, and the machine has its moods: so much is no growth. */
const ALLOWED_FACTOR = 3
const ALLOWED_US = 1

/** Samples, of which the median counts: so short that few of them are interrupted by what else the machine does. */
const SAMPLES = 2000
const CLAIMS_AT_ONCE = 25
const MOST_AT_ONCE = 100

const ROOM = 'room'

interface Claims {
  readonly participants: number
  /** µs for a claim and its release. */
  readonly plainUs: number
  readonly warmUs: number
}

interface Queue {
  readonly length: number
  readonly clients: number
  /** Few of them can't be weighed. */
  readonly bytesEach?: number
  readonly enqueueUs: number
  readonly wakeUs: number
  readonly leaveUs: number
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  // What weak references held goes with the second one.
  for (let time = 0; time < 3; time++) collectGarbage()
  return process.memoryUsage().heapUsed
}

/** Always the same numbers (xorshift32). */
function createRandom(): (below: number) => number {
  let state = 0x9e3779b9
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const keyOf = (index: number) => `${ROOM}/participant-${index}`
const clientOf = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`

/** Participants of which some are faster than others, and some have the model in memory. */
function openRoom(participants: number, slots = SLOTS) {
  const affinity = createAffinity()
  const speeds = new Map<string, Speed>()
  const scheduler = createScheduler({ now: () => performance.now(), speedOf: (key) => speeds.get(key) ?? {}, affinity })
  const kind = scheduler.addKind(ROOM)
  const keys = Array.from({ length: participants }, (_, index) => keyOf(index))
  for (const [index, key] of keys.entries()) {
    speeds.set(key, { msPerByte: 0.05 + (index % 7) / 100, tokensPerSecond: 20 + (index % 50) })
    scheduler.putSeat({ key, machine: `http://10.0.0.1:${index}`, slots })
  }
  kind.set(keys.map((key, index) => ({ key, model: 'llama3.2:3b', isLoaded: index % 10 !== 0 })))
  return { affinity, kind }
}

/** µs an operation, over `batch` of them. */
function timed(operation: () => void, batch: number): number {
  const begun = performance.now()
  for (let done = 0; done < batch; done++) operation()
  return (1000 * (performance.now() - begun)) / batch
}

/** Claims a slot, and gives back the one that was claimed longest ago, while so many requests run. */
function timeClaims(kind: Kind, running: number, nextAsker: () => Asker): number {
  const held: Grant[] = []
  const turn = { onGrant: (grant: Grant) => void held.push(grant), onNobody: () => {} }
  for (let index = 0; index < running; index++) kind.enter(nextAsker(), turn)
  const ring = held.splice(0)
  let at = 0
  const goOn = () => {
    kind.enter(nextAsker(), turn)
    ring[at]?.release()
    ring[at] = held.pop() as Grant
    at = (at + 1) % ring.length
  }
  return median(Array.from({ length: SAMPLES }, () => timed(goOn, CLAIMS_AT_ONCE)))
}

/** One after the other, again and again. */
function inTurn<T>(items: readonly T[]): () => T {
  let at = 0
  return () => items[at++ % items.length] as T
}

function measureClaims(participants: number): Claims {
  const clients = Array.from({ length: CONVERSATIONS }, (_, index) => ({ client: clientOf(index) }))
  const plainUs = timeClaims(openRoom(participants).kind, (participants * SLOTS) / 2, inTurn(clients))
  const { affinity, kind } = openRoom(participants)
  const askers = clients.slice(0, 2 * participants).map(({ client }) => {
    return { client, prefix: affinity.prefixOf([Buffer.alloc(PROMPT_BYTES, `${client} `)]) }
  })
  return { participants, plainUs, warmUs: timeClaims(kind, askers.length / 2, inTurn(askers)) }
}

/** One who waits. */
interface Waiter {
  waiting: Waiting | undefined
  isServed: boolean
}

/** A room with one participant, all of whose slots are taken. */
function openFullRoom() {
  const { kind } = openRoom(1)
  const running: Grant[] = []
  const enter = (client: string): Waiter => {
    const waiter: Waiter = { waiting: undefined, isServed: false }
    const onGrant = (grant: Grant) => {
      waiter.isServed = true
      running.push(grant)
    }
    waiter.waiting = kind.enter({ client }, { onGrant, onNobody: () => {} })
    return waiter
  }
  for (let slot = 0; slot < SLOTS; slot++) enter('first')
  return { enter, wake: () => running.shift()?.release() }
}

/** What one who waits holds, its callbacks included. */
function measureBytes(length: number, clients: number): number {
  const { enter } = openFullRoom()
  const waiters: (Waiter | undefined)[] = new Array(length).fill(undefined)
  const before = heapBytes()
  for (let index = 0; index < length; index++) waiters[index] = enter(clientOf(index % clients))
  const bytes = heapBytes() - before
  return waiters.at(-1)?.isServed === false ? bytes / length : Number.NaN
}

/** Each is timed in batches so small that the queue stays about as long as it is said to be. */
function measureQueue(length: number, clients: number): Queue {
  const random = createRandom()
  const { enter, wake } = openFullRoom()
  const names = Array.from({ length: clients }, (_, index) => clientOf(index))
  const waiters: Waiter[] = []
  const join = () => void waiters.push(enter(names[random(clients)] as string))
  const pick = (): Waiter => {
    for (;;) {
      const at = random(waiters.length)
      const picked = waiters[at] as Waiter
      waiters[at] = waiters.at(-1) as Waiter
      waiters.pop()
      if (!picked.isServed) return picked
    }
  }
  for (let index = 0; index < length; index++) join()
  const batch = Math.min(MOST_AT_ONCE, length / 10)
  const took = { enqueue: [] as number[], wake: [] as number[], leave: [] as number[] }
  for (let sample = 0; sample < SAMPLES / 4; sample++) {
    took.enqueue.push(timed(join, batch))
    took.wake.push(timed(wake, batch))
    const leaving = Array.from({ length: batch }, pick)
    took.leave.push(timed(() => leaving.pop()?.waiting?.leave(), batch))
    for (let index = 0; index < batch; index++) join()
  }
  const [enqueueUs, wakeUs, leaveUs] = [median(took.enqueue), median(took.wake), median(took.leave)]
  const weight = length === LONGEST ? { bytesEach: measureBytes(length, clients) } : {}
  return { length, clients, ...weight, enqueueUs, wakeUs, leaveUs }
}

/** The longest queue against the shortest: by so much the costliest is beyond what it may be; up to 1 it is not. */
function growthOf(queues: readonly Queue[]): number {
  const [first, last] = [queues[0], queues.at(-1)] as [Queue, Queue]
  const costs = ['enqueueUs', 'wakeUs', 'leaveUs'] as const
  return Math.max(...costs.map((cost) => last[cost] / (ALLOWED_FACTOR * first[cost] + ALLOWED_US)))
}

function judgeClaims(claims: readonly Claims[]): Verdict[] {
  const [first, last] = [claims[0], claims.at(-1)] as [Claims, Claims]
  const worst = Math.max(first.plainUs, first.warmUs)
  const growth = Math.max(last.plainUs / first.plainUs, last.warmUs / first.warmUs)
  const allowed = (ALLOWED_FACTOR * Math.log(last.participants)) / Math.log(first.participants)
  return [
    {
      what: `a slot claimed and given back, ${first.participants} participants`,
      target: `at most ${CLAIM_TARGET_US} µs`,
      measured: `${number(worst)} µs`,
      isMet: worst <= CLAIM_TARGET_US,
    },
    {
      what: `the same, ${last.participants} participants`,
      target: `grows as their logarithm, at most × ${number(allowed)}`,
      measured: `× ${number(growth)}`,
      isMet: growth <= allowed,
    },
  ]
}

function judgeQueues(queues: readonly Queue[]): Verdict[] {
  const bytes = Math.max(...queues.map(({ bytesEach = 0 }) => bytesEach))
  const growth = Math.max(...CLIENTS.map((count) => growthOf(queues.filter(({ clients }) => clients === count))))
  return [
    {
      what: `memory of a request that waits, ${LONGEST} of them`,
      target: `at most ${kibibytes(WAITING_TARGET_BYTES)}`,
      measured: kibibytes(bytes),
      isMet: bytes <= WAITING_TARGET_BYTES,
    },
    {
      what: 'to come, to be served and to leave, in a queue a hundred times as long',
      target: `no more, within × ${ALLOWED_FACTOR} and ${ALLOWED_US} µs`,
      measured: `${number(growth)} of that`,
      isMet: growth <= 1,
    },
  ]
}

/** As a part of the page. */
export function measureChoosing(): Outcome {
  const claims = PARTICIPANTS.map(measureClaims)
  const queues = CLIENTS.flatMap((clients) => QUEUE_LENGTHS.map((length) => measureQueue(length, clients)))
  const µs = (value: number) => `${number(value)} µs`
  return {
    title: 'Choosing a participant',
    method: `The scheduler alone, in one process. Half of all slots are taken while claims are timed; the conversations that go on have ${PROMPT_BYTES / BLOCK_BYTES} blocks that were there before, and of them half run. In the queue's room one participant serves.`,
    verdicts: [...judgeClaims(claims), ...judgeQueues(queues)],
    tables: [
      {
        columns: ['participants', 'claim and release', 'the same, of a conversation that goes on'],
        rows: claims.map(({ participants, plainUs, warmUs }) => [String(participants), µs(plainUs), µs(warmUs)]),
      },
      {
        columns: ['clients', 'requests that wait', 'memory each', 'to come', 'to be served', 'to leave'],
        rows: queues.map(({ clients, length, bytesEach, enqueueUs, wakeUs, leaveUs }) => [
          String(clients),
          String(length),
          bytesEach === undefined ? '' : kibibytes(bytesEach),
          µs(enqueueUs),
          µs(wakeUs),
          µs(leaveUs),
        ]),
      },
    ],
    notes: [],
  }
}

if (import.meta.main) {
  const { verdicts, tables } = measureChoosing()
  console.table(verdicts)
  for (const { columns, rows } of tables)
    console.table(rows.map((row) => Object.fromEntries(row.map((cell, at) => [columns[at], cell]))))
}
