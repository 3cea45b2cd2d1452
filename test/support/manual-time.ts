import type { Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { manualClock } from './clock.ts'
import { type RunningHub, startHub } from './hub.ts'

export interface TimedHub extends RunningHub {
  /** The hub's own time, ms since the epoch. */
  now(): number
  /** Lets so much of the hub's time pass; the hub looks at the end who has gone silent, and on a long way each five minutes. */
  pass(ms: number): Promise<void>
}

const START = 1_709_409_600_000

/** As rare as the option allows: within a test only `pass` looks who has gone silent. */
const NO_TICKS_MS = 60_000

/** More at once and the hub takes it for a clock that was set. */
const STEP_MS = 5 * 60_000

/** A hub whose time goes on only when the test says so. */
export async function startTimedHub(t: Test, options: HubOptions = {}): Promise<TimedHub> {
  const { now, advance } = manualClock(START)
  const clock = { now, elapsed: () => performance.now() }
  const running = await startHub(t, { clock, healthTickMs: NO_TICKS_MS, ...options })
  const { healthMonitor } = await running.hub.app
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      advance(Math.min(left, STEP_MS))
      await healthMonitor.tick()
    }
  }
  return { ...running, now, pass }
}
