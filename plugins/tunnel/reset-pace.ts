import { TUNNEL_LIMITS } from '../../schemas/tunnel.ts'

export interface ResetPace {
  /** Calls back at once, or in turn as soon as requests may begin again. */
  whenDue(begin: () => void): void
  /** A request was taken back. */
  count(): void
  /** All that wait are called, and nobody waits any more. */
  close(): void
}

const SECOND_MS = 1000

/**
 * Keeps the requests that are taken back within what the other end takes for no flood: one client that asks and goes away, over
 * and over, would have the tunnel closed under everybody else's answers. What waits here and is given up costs no reset.
 */
export function createResetPace(
  { burst, perSecond }: { burst: number; perSecond: number } = TUNNEL_LIMITS.resets,
  now = () => performance.now(),
): ResetPace {
  const waiting: (() => void)[] = []
  let left = burst
  let countedAt = now()
  let timer: NodeJS.Timeout | undefined

  function refill(): void {
    const time = now()
    left = Math.min(burst, left + ((time - countedAt) * perSecond) / SECOND_MS)
    countedAt = time
  }

  function beginAll(): void {
    timer = undefined
    refill()
    if (left > 0) for (const begin of waiting.splice(0)) begin()
    else wait()
  }

  function wait(): void {
    timer ??= setTimeout(beginAll, SECOND_MS / perSecond).unref()
  }

  return {
    whenDue(begin) {
      if (left > 0 && waiting.length === 0) {
        begin()
        return
      }
      waiting.push(begin)
      wait()
    },
    count() {
      refill()
      left -= 1
    },
    close() {
      clearTimeout(timer)
      for (const begin of waiting.splice(0)) begin()
      left = Number.POSITIVE_INFINITY
    },
  }
}
