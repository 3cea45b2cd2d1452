import type { Metrics } from '../../schemas/events.ts'
import type { Performance } from '../../schemas/participant.ts'
import type { Speed } from './choosing/scheduler.ts'
import { round } from './meter.ts'

/** How much the newest request weighs: the last ten or so make up most of the average. */
const WEIGHT = 0.2

/** Whoever has not served for longest is forgotten first; ids are made up by who joins, so their number needs a bound. */
export const MAX_MEASURED = 20_000

/** Less of a prompt takes no measurable time to read, bytes. */
const LEAST_BYTES = 512

export type Performances = ReturnType<typeof createPerformances>

/** How fast participants have been lately: moving averages over what they served. */
export function createPerformances() {
  const measured = new Map<string, Performance>()
  /** ms a byte of a prompt that is not in the cache. */
  const reading = new Map<string, number>()

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

    /** For choosing. */
    speedOf(key: string): Speed {
      const tokensPerSecond = measured.get(key)?.tokensPerSecond
      const msPerByte = reading.get(key)
      return {
        ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
        ...(msPerByte === undefined ? {} : { msPerByte }),
      }
    },

    /** @param ms from the request to the first byte of a stream @param bytes of the prompt that were read anew */
    noteReading(key: string, ms: number, bytes: number): void {
      const msPerByte = ms / Math.max(LEAST_BYTES, bytes)
      const before = reading.get(key)
      reading.delete(key)
      reading.set(key, before === undefined ? msPerByte : before + WEIGHT * (msPerByte - before))
      const [oldest] = reading.keys()
      if (reading.size > MAX_MEASURED && oldest !== undefined) reading.delete(oldest)
    },

    forget(key: string): void {
      measured.delete(key)
      reading.delete(key)
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
