import type { Scenario } from '../bench.ts'
import { type CpuTarget, judgeCpu, tableOf, takeTurns } from '../rounds.ts'
import type { Work } from '../sample.ts'

/** LiteLLM would take minutes for as many chunks. */
const STREAMERS = ['direct', 'nginx', 'bare', 'potluck-silent', 'potluck-1', 'portkey', 'olla', 'bifrost']

const CHUNKS = 200
const AT_ONCE = 16
const PACED_AT_ONCE = 100

interface Pace {
  readonly letter: string
  readonly how: string
  readonly work: Work
  /** Against nginx; absent: reported. */
  readonly nginx?: number
}

function scenario({ letter, how, work, nginx }: Pace): Scenario {
  const targets: CpuTarget[] = [
    { of: 'potluck-1', to: 'bare', atMost: 1.15 },
    { of: 'potluck-silent', to: 'bare' },
    { of: 'potluck-1', to: 'nginx', ...(nginx === undefined ? {} : { atMost: nginx }) },
    { of: 'potluck-1', to: 'portkey' },
  ]
  return {
    name: `chunks-${letter}`,
    async run(bench) {
      const rounds = await takeTurns(bench, STREAMERS, work)
      return {
        title: `Streams (${letter}): ${how}`,
        method: `Streams of ${CHUNKS} chunks of 180 bytes, ${how}, ${work.connections} at once.`,
        verdicts: judgeCpu(rounds, targets),
        tables: [tableOf(rounds, 'stream')],
        notes: rounds.notes,
      }
    },
  }
}

export const burst = scenario({
  letter: 'a',
  how: 'ten chunks in each turn of the event loop',
  work: { wish: { kind: 'stream', chunks: CHUNKS, perTick: 10 }, connections: AT_ONCE },
  nginx: 1.5,
})

export const oneByOne = scenario({
  letter: 'b',
  how: 'one chunk a write, as fast as possible',
  work: { wish: { kind: 'stream', chunks: CHUNKS }, connections: AT_ONCE },
  nginx: 1.2,
})

export const paced = scenario({
  letter: 'c',
  how: 'one chunk each 5 ms',
  work: {
    wish: { kind: 'stream', chunks: CHUNKS, everyMs: 5 },
    connections: PACED_AT_ONCE,
    multiple: PACED_AT_ONCE,
  },
})
