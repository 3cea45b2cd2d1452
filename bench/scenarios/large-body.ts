import type { Bench, Outcome, Scenario, Verdict } from '../bench.ts'
import { mebibytes, number } from '../format.ts'
import { bare } from '../parties/bare.ts'
import type { Party } from '../parties/party.ts'
import { potluck1 } from '../parties/potluck.ts'
import { forgetPeak, peakRssBytes, rssBytes } from '../proc.ts'
import { judgeCpu, tableOf, takeTurns } from '../rounds.ts'
import { takeSample, type Work } from '../sample.ts'
import { median } from '../statistics.ts'

const BODY_BYTES = 10 * 1024 * 1024
const MAX_TIMES_BODY = 3
const WARM_UP_REQUESTS = 1000
const IN_A_ROW = 10

const work: Work = { wish: { kind: 'count' }, connections: 1, paddingBytes: BODY_BYTES }

interface Growth {
  readonly first: number
  readonly row: number
}

/** In a process of its own, whose memory holds nothing yet that could be used again. */
async function measureGrowth(bench: Bench, party: Party): Promise<Growth> {
  const running = await party.start(bench.stage)
  const { pid = 0 } = running
  try {
    await takeSample(bench, running, { wish: { kind: 'plain' }, connections: 8 }, WARM_UP_REQUESTS)
    const before = rssBytes(pid)
    forgetPeak(pid)
    await takeSample(bench, running, work, 1)
    const first = peakRssBytes(pid) - before
    await takeSample(bench, running, work, IN_A_ROW)
    return { first, row: peakRssBytes(pid) - before }
  } finally {
    await running.stop()
  }
}

function judge(growths: readonly Growth[]): Verdict {
  const times = growths.map(({ first }) => first / BODY_BYTES)
  const most = Math.max(...times)
  return {
    what: 'memory for one body ÷ its size',
    target: `≤ ${number(MAX_TIMES_BODY)}`,
    measured: `${number(median(times))}, at most ${number(most)}`,
    isMet: most <= MAX_TIMES_BODY,
  }
}

function row(title: string, growths: readonly Growth[]): string[] {
  return [title, mebibytes(median(growths.map(({ first }) => first))), mebibytes(median(growths.map(({ row }) => row)))]
}

async function run(bench: Bench): Promise<Outcome> {
  const rounds = await takeTurns(bench, ['nginx', 'bare', 'potluck-1'], work)
  const growths: Growth[] = []
  for (let round = 0; round < (bench.isQuick ? 1 : 3); round++) growths.push(await measureGrowth(bench, potluck1))
  const compared = await measureGrowth(bench, bare)
  const growthTable = {
    columns: ['', 'most RSS above the rest, one body', `${IN_A_ROW} more, one after the other`],
    rows: [row('Potluck, 1 participant', growths), row('bare Node proxy', [compared])],
  }
  return {
    title: 'Large requests',
    method: 'Requests of 10 MB, one at a time; the server answers with how many bytes reached it.',
    verdicts: [...judgeCpu(rounds, [{ of: 'potluck-1', to: 'bare', atMost: 1.3 }]), judge(growths)],
    tables: [tableOf(rounds, 'request'), growthTable],
    notes: rounds.notes,
  }
}

export const largeBody: Scenario = { name: 'large-body', run }
