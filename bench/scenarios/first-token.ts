import type { Bench, Scenario, Verdict } from '../bench.ts'
import { interval, number } from '../format.ts'
import { added, type Rounds, tableOf, takeTurns } from '../rounds.ts'
import type { Sample, Work } from '../sample.ts'

const AT_ONCE = 200
const CHUNKS = 40
const EVERY_MS = 25

/** The streams begin one after the other, over the length of one, and so go on. */
const work: Work = {
  wish: { kind: 'stream', chunks: CHUNKS, everyMs: EVERY_MS },
  connections: AT_ONCE,
  multiple: 2 * AT_ONCE,
  spreadMs: CHUNKS * EVERY_MS,
}

interface Limit {
  readonly figure: keyof Sample
  readonly shown: string
  readonly to: 'direct' | 'nginx'
  readonly atMostMs: number
}

const LIMITS: readonly Limit[] = [
  { figure: 'ttftP50', shown: 'median', to: 'direct', atMostMs: 1 },
  { figure: 'ttftP99', shown: 'p99', to: 'direct', atMostMs: 5 },
  { figure: 'ttftP50', shown: 'median', to: 'nginx', atMostMs: 2 },
  { figure: 'ttftP99', shown: 'p99', to: 'nginx', atMostMs: 2 },
]

function judge(rounds: Rounds, { figure, shown, to, atMostMs }: Limit): Verdict {
  const what = `first token, ${shown}: Potluck − ${to}`
  const target = `≤ ${number(atMostMs)} ms`
  const found = added(rounds, 'potluck-1', to, figure)
  if (found === undefined) return { what, target, measured: 'not measured', isMet: 'none' }
  return { what, target, measured: interval(found, ' ms'), isMet: found.high <= atMostMs }
}

export const firstToken: Scenario = {
  name: 'first-token',
  async run(bench: Bench) {
    const rounds = await takeTurns(bench, ['direct', 'nginx', 'bare', 'potluck-1'], work)
    return {
      title: 'Time to the first token',
      method: `${AT_ONCE} streams at once, each of ${CHUNKS} chunks, one each ${EVERY_MS} ms; the server sends the first one at once, so the times are what the way takes.`,
      verdicts: LIMITS.map((limit) => judge(rounds, limit)),
      tables: [tableOf(rounds, 'stream')],
      notes: rounds.notes,
    }
  },
}
