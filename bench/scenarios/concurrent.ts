import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario, Verdict } from '../bench.ts'
import { kibibytes, mebibytes, number } from '../format.ts'
import type { RunResult } from '../load/fleet.ts'
import { bare } from '../parties/bare.ts'
import type { Party, RunningParty } from '../parties/party.ts'
import { potluck1 } from '../parties/potluck.ts'
import { rssBytes } from '../proc.ts'
import { takeSample } from '../sample.ts'
import { median } from '../statistics.ts'
import type { Wish } from '../workload.ts'

const STREAMS = 1000
const CHUNKS = 50
const EVERY_MS = 100
/** Over which the streams begin. */
const SPREAD_MS = 1000

/** A stream that says nothing for so long, while its server goes on, is stalled. */
const STALLED_MS = 1000

const MAX_BYTES_EACH = 64 * 1024
const WARM_UP_REQUESTS = 3000
const WATCH_MS = 100

interface Found {
  readonly result: RunResult
  readonly before: number
  readonly most: number
}

/** In a process of its own: memory that earlier scenarios have left free would hide what is needed. */
async function measure(bench: Bench, party: Party): Promise<Found> {
  const running = await party.start(bench.stage)
  try {
    await takeSample(bench, running, { wish: { kind: 'plain' }, connections: 64 }, WARM_UP_REQUESTS)
    return await stream(bench, running)
  } finally {
    await running.stop()
  }
}

async function stream({ load }: Bench, { pid = 0, target, isExact }: RunningParty): Promise<Found> {
  const wish: Wish = { kind: 'stream', chunks: CHUNKS, everyMs: EVERY_MS }
  const before = rssBytes(pid)
  await load.open({ target, wish, connections: STREAMS, isExact })
  const run = load.run({ requests: STREAMS, spreadMs: SPREAD_MS })
  const most = await mostUntil(run, () => rssBytes(pid))
  const result = await run
  await load.close()
  return { result, before, most }
}

async function mostUntil(end: Promise<unknown>, look: () => number): Promise<number> {
  let [most, isOver] = [look(), false]
  end
    .finally(() => {
      isOver = true
    })
    .catch(() => {})
  while (!isOver) {
    await sleep(WATCH_MS)
    most = Math.max(most, look())
  }
  return most
}

const growth = ({ before, most }: Found) => (most - before) / STREAMS

function judge(found: readonly Found[]): Verdict[] {
  const lost = found.reduce((total, { result }) => total + STREAMS - result.answers, 0)
  const gap = Math.max(...found.map(({ result }) => result.longestGapMs))
  const each = Math.max(...found.map(growth))
  return [
    { what: 'streams lost or wrong', target: '0', measured: `${lost} of ${STREAMS * found.length}`, isMet: lost === 0 },
    {
      what: 'longest silence within a stream',
      target: `≤ ${number(STALLED_MS)} ms`,
      measured: `${number(gap)} ms`,
      isMet: gap <= STALLED_MS,
    },
    {
      what: 'memory per stream',
      target: `≤ ${kibibytes(MAX_BYTES_EACH)}`,
      measured: `${kibibytes(median(found.map(growth)))}, at most ${kibibytes(each)}`,
      isMet: each <= MAX_BYTES_EACH,
    },
  ]
}

function row(title: string, found: readonly Found[]): string[] {
  const of = (figure: (one: Found) => number) => median(found.map(figure))
  const memory = [mebibytes(of(({ before }) => before)), mebibytes(of(({ most }) => most)), kibibytes(of(growth))]
  return [title, `${of(({ result }) => result.answers)}`, number(of(({ result }) => result.longestGapMs)), ...memory]
}

export const concurrent: Scenario = {
  name: 'concurrent',
  async run(bench) {
    const rounds = bench.isQuick ? 1 : 3
    const found: Found[] = []
    for (let round = 0; round < rounds; round++) found.push(await measure(bench, potluck1))
    const compared = await measure(bench, bare)
    return {
      title: 'Many streams at once',
      method: `${number(STREAMS)} streams of ${CHUNKS} chunks, one each ${EVERY_MS} ms, in a fresh process that has served ${WARM_UP_REQUESTS} requests before; ${rounds} such processes.`,
      verdicts: judge(found),
      tables: [
        {
          columns: ['', 'whole streams', 'longest silence, ms', 'RSS before', 'most RSS', 'per stream'],
          rows: [row('Potluck, 1 participant', found), row('bare Node proxy', [compared])],
        },
      ],
      notes: [],
    }
  },
}
