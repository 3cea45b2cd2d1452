import type { Metrics } from '../../schemas/events.ts'
import type { Performance } from '../../schemas/participant.ts'
import { round } from './meter.ts'

/** How much the newest request weighs: the last ten or so make up most of the average. */
const WEIGHT = 0.2

/** Whoever has not served for longest is forgotten first; ids are made up by who joins, so their number needs a bound. */
export const MAX_MEASURED = 20_000

export type Performances = ReturnType<typeof createPerformances>

/** How fast participants have been lately: moving averages over what they served. */
export function createPerformances() {
  const measured = new Map<string, Performance>()

  return {
    note(key: string, { ttftMs, tokensPerSecond }: Metrics): void {
      const before = measured.get(key)
      measured.delete(key)
      measured.set(key, {
        requests: (before?.requests ?? 0) + 1,
        ttftMs: moved(before?.ttftMs, ttftMs),
        // An answer in no time at all tells nothing of the speed.
        tokensPerSecond:
          tokensPerSecond > 0 ? moved(before?.tokensPerSecond, tokensPerSecond) : (before?.tokensPerSecond ?? 0),
      })
      const [oldest] = measured.keys()
      if (measured.size > MAX_MEASURED && oldest !== undefined) measured.delete(oldest)
    },

    /** @returns undefined where it has served nothing yet */
    of(key: string): Performance | undefined {
      return measured.get(key)
    },
  }
}

function moved(average: number | undefined, value: number): number {
  return average === undefined || average === 0 ? value : round(average + WEIGHT * (value - average))
}
