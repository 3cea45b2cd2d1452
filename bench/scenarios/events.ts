import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Outcome, Scenario, Verdict } from '../bench.ts'
import { freePort, start, startHelper, waitFor } from '../children.ts'
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
const BARE = join(import.meta.dirname, '../bare-events.ts')
const SUBSCRIBER_PROCESS = join(import.meta.dirname, '../load/subscribers.ts')

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

/** Somebody who has subscribers. */
interface Teller {
  readonly pid: number
  readonly port: number
  readonly path: string
  /** One event with this text in it for everybody. */
  tell(id: string): Promise<unknown>
  /** How often the text was encoded since `tell` began. */
  encodes(id: string): Promise<number>
  /** As after some use. */
  warmUp(): Promise<unknown>
  stop(): Promise<void>
}

async function startPotluckTeller(bench: Bench): Promise<Teller> {
  const about = { name: 'potluck-events', title: 'Potluck' }
  const party = await startPotluck(bench.stage, about, {
    nodeOptions: ['--import', ENCODES],
    ipc: true,
  })
  const { hub, room } = party
  const encodes = remote<EncodesApi>(hub.child.process)
  return {
    pid: hub.child.pid,
    port: hub.port,
    path: `/rooms/${room.code}/events`,
    async tell(id) {
      await encodes.watch(id)
      await joinRoom({ url: hub.url, code: room.code, llmPort: bench.stage.llmPort, id })
    },
    encodes: () => encodes.count(),
    warmUp: () => takeSample(bench, party, { wish: { kind: 'plain' }, connections: 64 }, WARM_UP_REQUESTS),
    stop: party.stop,
  }
}

async function startBareTeller({ stage }: Bench): Promise<Teller> {
  const port = await freePort()
  const child = start(process.execPath, [BARE, String(port)], { log: join(stage.workFolder, 'bare-events.log') })
  const url = `http://127.0.0.1:${port}/`
  await waitFor(url, child, 10_000)
  const get = (query: string) => fetch(`${url}${query}`).then((response) => response.text())
  return {
    pid: child.pid,
    port,
    path: '/events',
    tell: (id) => get(`?id=${id}`),
    encodes: async () => 1,
    async warmUp() {
      for (let count = 0; count < WARM_UP_REQUESTS; count++) await get('')
    },
    stop: child.stop,
  }
}

function possibleSubscribers({ say }: Bench): number {
  const possible = Math.min(SUBSCRIBERS, openFilesLimit() - OTHER_FILES)
  if (possible < SUBSCRIBERS)
    say(`ONLY ${possible} SUBSCRIBERS: a process may have ${openFilesLimit()} files open (ulimit -n)`)
  return possible
}

async function tellAll(teller: Teller, subscribers: Remote<SubscribersApi>, count: number, id: string): Promise<Told> {
  await subscribers.expect(id)
  const before = cpuMs(teller.pid)
  await teller.tell(id)
  const { delivered, spreadMs } = await subscribers.delivery()
  const cpuUs = ((cpuMs(teller.pid) - before) * 1000) / count
  return { spreadMs, missed: count - delivered, encodes: await teller.encodes(id), cpuUs }
}

async function measure(bench: Bench, teller: Teller): Promise<Found> {
  const subscribers = startHelper<SubscribersApi>(SUBSCRIBER_PROCESS)
  try {
    const count = possibleSubscribers(bench)
    await teller.warmUp()
    const before = rssBytes(teller.pid)
    await subscribers.api.open({ port: teller.port, path: teller.path, count })
    await sleep(SETTLE_MS)
    const after = rssBytes(teller.pid)
    // The first ones are for the compiler.
    for (let index = 0; index < 3; index++) await tellAll(teller, subscribers.api, count, `warm-${index}-up`)
    const told: Told[] = []
    for (let index = 0; index < bench.pairs; index++) {
      told.push(await tellAll(teller, subscribers.api, count, `guest-${index}-here`))
    }
    return { subscribers: count, before, after, told }
  } finally {
    await subscribers.stop()
    await teller.stop()
  }
}

const eachOf = ({ subscribers, before, after }: Found) => (after - before) / subscribers
const spreadOf = ({ told }: Found) => estimate(told.map(({ spreadMs }) => spreadMs))

function judge(found: Found, bare: Found): Verdict[] {
  const { subscribers, told } = found
  const encodes = Math.max(...told.map((event) => event.encodes))
  const missed = told.reduce((total, event) => total + event.missed, 0)
  const spread = spreadOf(found)
  const each = eachOf(found)
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
      what: 'the same: bare Node event server',
      target: 'reported',
      measured: kibibytes(eachOf(bare)),
      isMet: 'none',
    },
    {
      what: 'from the first delivery of an event to the last one',
      target: `≤ ${number(MAX_SPREAD_MS)} ms`,
      measured: interval(spread, ' ms'),
      isMet: spread.high <= MAX_SPREAD_MS,
    },
    {
      what: 'the same: bare Node event server',
      target: 'reported',
      measured: interval(spreadOf(bare), ' ms'),
      isMet: 'none',
    },
  ]
}

function row(name: string, { subscribers, before, after, told }: Found): string[] {
  const cpu = number(median(told.map(({ cpuUs }) => cpuUs)))
  return [name, number(subscribers), mebibytes(before), mebibytes(after), cpu]
}

function outcome(found: Found, bare: Found): Outcome {
  const { subscribers, told } = found
  const isLess = subscribers < SUBSCRIBERS
  return {
    title: 'Events to many subscribers',
    method: `${number(subscribers)} connections that read one room's events, in one process; ${told.length} times somebody joins, which is one event for each. The reader's own work is part of the time. The bare server (\`bench/bare-events.ts\`) only holds the responses and writes the same bytes to each.`,
    verdicts: judge(found, bare),
    tables: [
      {
        columns: ['', 'subscribers', 'RSS before', 'RSS after', 'CPU µs per delivery'],
        rows: [row('Potluck', found), row('bare Node event server', bare)],
      },
    ],
    notes: isLess
      ? [`Only ${subscribers} subscribers instead of ${SUBSCRIBERS}: a process may not have more files open.`]
      : [],
  }
}

async function run(bench: Bench): Promise<Outcome> {
  const found = await measure(bench, await startPotluckTeller(bench))
  return outcome(found, await measure(bench, await startBareTeller(bench)))
}

export const events: Scenario = { name: 'events', run }
