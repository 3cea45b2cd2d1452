/**
 * The waits before each next try are drawn from windows that grow to this: two hundred participants that lost their hub at the
 * same moment come back one by one, and all of them before the longest window is over.
 */
const FIRST_WINDOW_MS = 8000
const LONGEST_WINDOW_MS = 10_000
const GROWTH = 2

export interface Backoff {
  /** How long to wait before the next try. @param atLeastMs what the hub asked for by `Retry-After` */
  nextMs(atLeastMs?: number): number
  /** It has worked. */
  reset(): void
}

export interface BackoffOptions {
  firstWindowMs?: number
  longestWindowMs?: number
  random?: () => number
}

/** What a hub may ask for; beyond that it is asked again all the same. */
const LONGEST_ASKED_MS = 120_000

/** Exponential, with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
export function createBackoff({
  firstWindowMs = FIRST_WINDOW_MS,
  longestWindowMs = LONGEST_WINDOW_MS,
  random = Math.random,
}: BackoffOptions = {}): Backoff {
  let windowMs = firstWindowMs
  return {
    nextMs(atLeastMs = 0) {
      const waitMs = random() * windowMs
      windowMs = Math.min(windowMs * GROWTH, longestWindowMs)
      return Math.min(atLeastMs, LONGEST_ASKED_MS) + waitMs
    },
    reset() {
      windowMs = firstWindowMs
    },
  }
}
