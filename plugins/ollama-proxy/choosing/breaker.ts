/** So many failures one after the other, and a participant is left alone for a while. */
export const FAILURES_TO_OPEN = 5

/** The first pause, which doubles up to the longest: who is back serves again within that. */
const FIRST_PAUSE_MS = 2000
export const LONGEST_PAUSE_MS = 12_000

/** Those who failed lately: what still runs on a participant may fail after it left, and would be remembered for ever. */
const MAX_BREAKERS = 20_000

export interface BreakersOptions {
  now(): number
  /** It opened, or is to be tried again. */
  onChange(key: string): void
  setTimer?(callback: () => void, ms: number): { unref?(): unknown }
}

interface Breaker {
  failures: number
  pauses: number
  /** 0: it is not open, and that is known. */
  openUntil: number
}

export type Breakers = ReturnType<typeof createBreakers>

/**
 * Circuit breakers (https://martinfowler.com/bliki/CircuitBreaker.html), one a participant: who failed several times in a row
 * gets nothing for a while; then the next request finds out whether it is back (half-open), and a success forgets all.
 */
export function createBreakers({ now, onChange, setTimer = startTimer }: BreakersOptions) {
  const breakers = new Map<string, Breaker>()

  function open(key: string, breaker: Breaker): void {
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** breaker.pauses, LONGEST_PAUSE_MS)
    breaker.pauses += 1
    const until = now() + pauseMs
    breaker.openUntil = until
    setTimer(() => {
      if (breakers.get(key) !== breaker || breaker.openUntil !== until) return
      // Timers count in whole ms, and may be a little early for the clock.
      breaker.openUntil = 0
      onChange(key)
    }, pauseMs)
    onChange(key)
  }

  function add(key: string): Breaker {
    const breaker = { failures: 0, pauses: 0, openUntil: 0 }
    breakers.set(key, breaker)
    const [oldest] = breakers.keys()
    if (breakers.size > MAX_BREAKERS && oldest !== undefined) breakers.delete(oldest)
    return breaker
  }

  return {
    isOpen(key: string): boolean {
      const breaker = breakers.get(key)
      return breaker !== undefined && breaker.openUntil > now()
    },

    failed(key: string): void {
      const breaker = breakers.get(key) ?? add(key)
      breaker.failures += 1
      if (breaker.failures >= FAILURES_TO_OPEN && breaker.openUntil <= now()) open(key, breaker)
    },

    succeeded(key: string): void {
      const breaker = breakers.get(key)
      if (breaker === undefined) return
      breakers.delete(key)
      if (breaker.openUntil > 0) onChange(key)
    },

    /** Nobody else is left: it is tried before its time. */
    closeEarly(key: string): void {
      const breaker = breakers.get(key)
      if (breaker === undefined || breaker.openUntil === 0) return
      breaker.openUntil = 0
      onChange(key)
    },

    forget(key: string): void {
      breakers.delete(key)
    },
  }
}

function startTimer(callback: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(callback, ms).unref()
}
