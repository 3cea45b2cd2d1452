import type { Bench, Scenario, Verdict } from '../bench.ts'
import { interval } from '../format.ts'
import { added, judgeCpu, tableOf, takeTurns } from '../rounds.ts'
import type { Work } from '../sample.ts'

const PARTIES = ['potluck-1', 'potluck-tunnel']
const AT_ONCE = 500
const CHUNKS = 40
const EVERY_MS = 50

/** The target of the first token: what the tunnel may add, ms. */
const ADDED_MS = 1

/** The streams begin one after the other, over the length of one, and so go on: all of them over one tunnel. */
const paced: Work = {
  wish: { kind: 'stream', chunks: CHUNKS, everyMs: EVERY_MS },
  connections: AT_ONCE,
  multiple: AT_ONCE,
  spreadMs: CHUNKS * EVERY_MS,
}

/** One at a time, so that nothing waits for anything else. */
const alone: Work = { wish: { kind: 'stream', chunks: 1 }, connections: 1 }

const oneByOne: Work = { wish: { kind: 'stream', chunks: 200 }, connections: 16 }

const TARGET = [{ of: 'potluck-tunnel', to: 'potluck-1', atMost: 2 }]

async function judgeFirstToken(bench: Bench): Promise<Verdict> {
  const rounds = await takeTurns(bench, PARTIES, alone)
  const found = added(rounds, 'potluck-tunnel', 'potluck-1', 'ttftP50')
  const about = { what: 'first token, median: tunnel − direct', target: `≤ ${ADDED_MS} ms` }
  if (found === undefined) return { ...about, measured: 'not measured', isMet: 'none' }
  return { ...about, measured: interval(found, ' ms'), isMet: found.high <= ADDED_MS }
}

/** What it costs the hub to reach a participant through its tunnel, against connecting to it. */
export const tunnelPaced: Scenario = {
  name: 'tunnel-paced',
  async run(bench: Bench) {
    const rounds = await takeTurns(bench, PARTIES, paced)
    return {
      title: 'Through a tunnel: 500 streams at once',
      method: `${AT_ONCE} streams at once over one tunnel, each of ${CHUNKS} chunks, one each ${EVERY_MS} ms; the participant's end of the tunnel is a process of its own. The first token is measured one stream at a time. CPU is the hub's: what the participant's end takes, it takes elsewhere.`,
      verdicts: [...judgeCpu(rounds, TARGET), await judgeFirstToken(bench)],
      tables: [tableOf(rounds, 'stream')],
      notes: rounds.notes,
    }
  },
}

export const tunnelFast: Scenario = {
  name: 'tunnel-fast',
  async run(bench: Bench) {
    const rounds = await takeTurns(bench, PARTIES, oneByOne)
    return {
      title: 'Through a tunnel: as fast as possible',
      method:
        "16 streams of 200 chunks of 180 bytes at once over one tunnel, one chunk a write. CPU is the hub's, not that of the participant's end.",
      verdicts: judgeCpu(rounds, TARGET),
      tables: [tableOf(rounds, 'stream')],
      notes: rounds.notes,
    }
  },
}
