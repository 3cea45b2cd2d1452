import type { Clock } from '../../schemas/clock.ts'

export interface ManualClock extends Clock {
  /** Time goes by: for both of the clock's readings. */
  advance(ms: number): void
  /** Somebody sets the clock: only the time of day jumps. */
  set(now: number): void
}

/** A clock that stands still until the test moves it. */
export function manualClock(start = 1_000_000): ManualClock {
  let now = start
  let elapsed = 0
  return {
    now: () => now,
    elapsed: () => elapsed,
    advance(ms) {
      now += ms
      elapsed += ms
    },
    set(time) {
      now = time
    },
  }
}
