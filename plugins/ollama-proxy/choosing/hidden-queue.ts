/** An end that came so soon behind a request's beginning says nothing of it, ms. */
const WELL_BEFORE_MS = 500

/** A first token that came later than this behind an end was not kept waiting by it: its prompt took that long, ms. */
const SHORTLY_MS = 250

/** What was found holds so long: a server may have been given more slots since, or a long prompt looked like a queue, ms. */
const HOLDS_MS = 10 * 60_000

/** So many times running, and a server is taken at what it does, not at what it says. */
const TIMES = 3

/** Ends that are remembered, per participant: as many as can matter to what runs beside them. */
const MAX_ENDS = 64

/** A streamed request that has ended. */
export interface Streamed {
  readonly key: string
  /** When it was sent, when its first token came, when it ended; ms. */
  readonly sentAt: number
  readonly firstAt: number
  readonly endedAt: number
  /** Others that ran there when it was sent. */
  readonly beside: number
}

export interface HiddenQueuesOptions {
  /** Of a monotonic clock, ms. */
  now(): number
  /** It takes so many at once, whatever it says. */
  onFound(key: string, slots: number): void
}

interface Watched {
  ends: { sentAt: number; endedAt: number }[]
  times: number
  slots: number
  foundAt: number
}

export type HiddenQueues = ReturnType<typeof createHiddenQueues>

/**
 * Finds servers that take more requests than they serve at once: a stream that was sent well before another one's end, and
 * whose first token came only behind that, has waited there, out of the hub's sight and in no fair order.
 */
export function createHiddenQueues({ now, onFound }: HiddenQueuesOptions) {
  const watched = new Map<string, Watched>()

  function hasWaited({ ends }: Watched, { sentAt, firstAt }: Streamed): boolean {
    return ends.some(
      (end) =>
        end.sentAt < sentAt && isBetween(end.endedAt, Math.max(sentAt + WELL_BEFORE_MS, firstAt - SHORTLY_MS), firstAt),
    )
  }

  return {
    note(streamed: Streamed): void {
      const { key, sentAt, endedAt, beside } = streamed
      const state = watched.get(key) ?? { ends: [], times: 0, slots: Number.POSITIVE_INFINITY, foundAt: 0 }
      watched.set(key, state)
      if (beside > 0) state.times = hasWaited(state, streamed) ? state.times + 1 : 0
      state.ends.push({ sentAt, endedAt })
      if (state.ends.length > MAX_ENDS) state.ends.shift()
      if (state.times < TIMES) return
      state.times = 0
      state.foundAt = now()
      // One less than ran at once when it had to wait.
      state.slots = Math.min(state.slots, Math.max(1, beside))
      onFound(key, state.slots)
    },

    /** The most that it was seen to serve at once; no bound where it never kept anybody waiting. */
    slotsOf(key: string): number {
      const state = watched.get(key)
      if (state === undefined || now() - state.foundAt > HOLDS_MS) return Number.POSITIVE_INFINITY
      return state.slots
    },

    forget(key: string): void {
      watched.delete(key)
    },
  }
}

function isBetween(time: number, from: number, to: number): boolean {
  return time > from && time <= to
}
