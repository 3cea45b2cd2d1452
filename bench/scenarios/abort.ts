import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Outcome, Scenario, Verdict } from '../bench.ts'
import { number } from '../format.ts'
import type { AbortPlan } from '../load/aborts.ts'
import type { RunningParty } from '../parties/party.ts'
import { quantile } from '../statistics.ts'

const MAX_P99_MS = 100

/** After that nobody is going to notice any more. */
const PATIENCE_MS = 2000
const POLL_MS = 100

const WHEN: Readonly<Record<AbortPlan['when'], string>> = { prefill: 'in prefill', stream: 'while streaming' }

/** Ids are never used twice: a late closing is nobody else's. */
let nextId = 1

/** @returns of each request how long it took until the server's connection was closed, ms; infinite where it stayed open */
async function measure(bench: Bench, { target }: RunningParty, when: AbortPlan['when']): Promise<number[]> {
  const count = bench.isQuick ? 20 : 150
  const firstId = nextId
  nextId += count
  const aborted = await bench.load.abort({ target, when, count, firstId })
  const closings = new Map<number, number>()
  const until = performance.now() + PATIENCE_MS
  while (aborted.some(([id]) => !closings.has(id)) && performance.now() < until) {
    await sleep(POLL_MS)
    for (const [id, at] of await bench.llm.takeClosings()) closings.set(id, at)
  }
  return aborted.map(([id, at]) => Math.max(0, (closings.get(id) ?? Number.POSITIVE_INFINITY) - at))
}

const shown = (ms: number) => (Number.isFinite(ms) ? `${number(ms)} ms` : 'stays open')

function judge(when: AbortPlan['when'], latencies: readonly number[]): Verdict {
  const p99 = quantile(latencies, 0.99)
  const what = `client gone ${WHEN[when]} → participant's connection closed, p99`
  return { what, target: `≤ ${number(MAX_P99_MS)} ms`, measured: shown(p99), isMet: p99 <= MAX_P99_MS }
}

async function run(bench: Bench): Promise<Outcome> {
  const verdicts: Verdict[] = []
  const rows: string[][] = []
  for (const name of ['nginx', 'bare', 'potluck-1']) {
    const party = bench.parties.get(name)
    if (party === undefined) continue
    for (const when of ['prefill', 'stream'] as const) {
      const latencies = await measure(bench, party, when)
      if (name === 'potluck-1') verdicts.push(judge(when, latencies))
      rows.push([party.title, WHEN[when], shown(quantile(latencies, 0.5)), shown(quantile(latencies, 0.99))])
    }
  }
  return {
    title: 'Clients that go away',
    method:
      'Requests whose client closes its connection before the first byte of the answer, or after three chunks, one after the other.',
    verdicts,
    tables: [{ columns: ['', 'aborted', 'median', 'p99'], rows }],
    notes: [],
  }
}

export const abort: Scenario = { name: 'abort', run }
