import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario } from '../bench.ts'
import { freePort, start as startChild, waitFor } from '../children.ts'
import { interval, mebibytes, number } from '../format.ts'
import { REPOSITORY, START } from '../paths.ts'
import { rssBytes } from '../proc.ts'
import { estimate } from '../statistics.ts'

const MAX_START_MS = 1000
const MAX_RSS_BYTES = 90 * 1024 * 1024

/** Until what a start leaves behind is cleaned up, or is there to stay. */
const IDLE_MS = 2000

interface Found {
  readonly startMs: number
  readonly idleBytes: number
}

async function measure({ stage }: Bench): Promise<Found> {
  const port = await freePort()
  const env = { PORT: String(port), HOST: '127.0.0.1' }
  const begun = performance.now()
  const child = startChild(process.execPath, START, { env, cwd: REPOSITORY, log: join(stage.workFolder, 'start.log') })
  await waitFor(`http://127.0.0.1:${port}/health`, child, 20_000, 5)
  const startMs = performance.now() - begun
  await sleep(IDLE_MS)
  const idleBytes = rssBytes(child.pid)
  await child.stop()
  return { startMs, idleBytes }
}

export const start: Scenario = {
  name: 'start',
  async run(bench) {
    const found: Found[] = []
    for (let round = 0; round < bench.pairs; round++) found.push(await measure(bench))
    const startMs = estimate(found.map((one) => one.startMs))
    const idle = estimate(found.map((one) => one.idleBytes / 1024 / 1024))
    return {
      title: 'Start',
      method: '`npm start` (without npm itself) until `/health` answers, and its memory two seconds later.',
      verdicts: [
        {
          what: 'start until /health answers',
          target: `≤ ${number(MAX_START_MS)} ms`,
          measured: interval(startMs, ' ms'),
          isMet: startMs.high <= MAX_START_MS,
        },
        {
          what: 'RSS of an idle hub',
          target: `≤ ${mebibytes(MAX_RSS_BYTES)}`,
          measured: interval(idle, ' MB'),
          isMet: idle.high <= MAX_RSS_BYTES / 1024 / 1024,
        },
      ],
      tables: [],
      notes: [],
    }
  },
}
