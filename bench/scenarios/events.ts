import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Outcome, Scenario, Verdict } from '../bench.ts'
import { startHelper } from '../children.ts'
import type { EncodesApi } from '../encodes.ts'
import { interval, kibibytes, mebibytes, number } from '../format.ts'
import type { SubscribersApi } from '../load/subscribers.ts'
import { joinRoom, startPotluck } from '../parties/potluck.ts'
import { cpuMs, openFilesLimit, rssBytes } from '../proc.ts'
import { type Remote, remote } from '../rpc.ts'
import { takeSample } from '../sample.ts'
import { estimate, median } from '../statistics.ts'

const SUBSCRIBERS = 10_000
/** Files that a process needs besides. */
const OTHER_FILES = 200

const MAX_BYTES_EACH = 10 * 1024
const MAX_SPREAD_MS = 100
const WARM_UP_REQUESTS = 1000

/** Until sockets and collector have come to rest. */
const SETTLE_MS = 2000

const ENCODES = join(import.meta.dirname, '../encodes.ts')
const SUBSCRIBER_PROCESS = join(import.meta.dirname, '../load/subscribers.ts')

type Hub = Awaited<ReturnType<typeof startPotluck>>

interface Told {
  readonly spreadMs: number
  readonly missed: number
  readonly encodes: number
  readonly cpuUs: number
}

interface Found {
  readonly subscribers: number
  readonly before: number
  readonly after: number
  readonly told: readonly Told[]
}

function possibleSubscribers({ say }: Bench): number {
  const possible = Math.min(SUBSCRIBERS, openFilesLimit() - OTHER_FILES)
  if (possible < SUBSCRIBERS)
    say(`ONLY ${possible} SUBSCRIBERS: a process may have ${openFilesLimit()} files open (ulimit -n)`)
  return possible
}

/** Somebody joins: one event for everybody. */
async function tellAll(
  bench: Bench,
  hub: Hub,
  subscribers: Remote<SubscribersApi>,
  count: number,
  id: string,
): Promise<Told> {
  const { code } = hub.room
  const encodes = remote<EncodesApi>(hub.hub.child.process)
  await encodes.watch(id)
  await subscribers.expect(id)
  const before = cpuMs(hub.hub.child.pid)
  await joinRoom({ url: hub.hub.url, code, llmPort: bench.stage.llmPort, id })
  const { delivered, spreadMs } = await subscribers.delivery()
  const cpuUs = ((cpuMs(hub.hub.child.pid) - before) * 1000) / count
  return { spreadMs, missed: count - delivered, encodes: await encodes.count(), cpuUs }
}

async function measure(bench: Bench, hub: Hub, subscribers: Remote<SubscribersApi>): Promise<Found> {
  const count = possibleSubscribers(bench)
  await takeSample(bench, hub, { wish: { kind: 'plain' }, connections: 64 }, WARM_UP_REQUESTS)
  const before = rssBytes(hub.hub.child.pid)
  await subscribers.open({ port: hub.hub.port, path: `/rooms/${hub.room.code}/events`, count })
  await sleep(SETTLE_MS)
  const after = rssBytes(hub.hub.child.pid)
  // The first ones are for the compiler.
  for (let index = 0; index < 3; index++) await tellAll(bench, hub, subscribers, count, `warm-${index}-up`)
  const told: Told[] = []
  for (let index = 0; index < bench.pairs; index++) {
    told.push(await tellAll(bench, hub, subscribers, count, `guest-${index}-here`))
  }
  return { subscribers: count, before, after, told }
}

function judge({ subscribers, before, after, told }: Found): Verdict[] {
  const encodes = Math.max(...told.map((event) => event.encodes))
  const missed = told.reduce((total, event) => total + event.missed, 0)
  const spread = estimate(told.map(({ spreadMs }) => spreadMs))
  const each = (after - before) / subscribers
  return [
    {
      what: 'deliveries missed',
      target: '0',
      measured: `${missed} of ${number(subscribers * told.length)}`,
      isMet: missed === 0,
    },
    { what: 'encodings of one event', target: '≤ 1', measured: String(encodes), isMet: encodes <= 1 },
    {
      what: 'memory per subscriber',
      target: `≤ ${kibibytes(MAX_BYTES_EACH)}`,
      measured: kibibytes(each),
      isMet: each <= MAX_BYTES_EACH,
    },
    {
      what: 'from the first delivery of an event to the last one',
      target: `≤ ${number(MAX_SPREAD_MS)} ms`,
      measured: interval(spread, ' ms'),
      isMet: spread.high <= MAX_SPREAD_MS,
    },
  ]
}

function outcome(found: Found): Outcome {
  const { subscribers, before, after, told } = found
  const cpu = number(median(told.map(({ cpuUs }) => cpuUs)))
  const isLess = subscribers < SUBSCRIBERS
  return {
    title: 'Events to many subscribers',
    method: `${number(subscribers)} connections that read one room's events, in one process; ${told.length} times somebody joins, which is one event for each. The reader's own work is part of the time.`,
    verdicts: judge(found),
    tables: [
      {
        columns: ['subscribers', 'RSS before', 'RSS after', "hub's CPU µs per delivery"],
        rows: [[number(subscribers), mebibytes(before), mebibytes(after), cpu]],
      },
    ],
    notes: isLess
      ? [`Only ${subscribers} subscribers instead of ${SUBSCRIBERS}: a process may not have more files open.`]
      : [],
  }
}

async function run(bench: Bench): Promise<Outcome> {
  const about = { name: 'potluck-events', title: 'Potluck' }
  const hub = await startPotluck(bench.stage, about, { nodeOptions: ['--import', ENCODES], ipc: true })
  const subscribers = startHelper<SubscribersApi>(SUBSCRIBER_PROCESS)
  try {
    return outcome(await measure(bench, hub, subscribers.api))
  } finally {
    await subscribers.stop()
    await hub.stop()
  }
}

export const events: Scenario = { name: 'events', run }
