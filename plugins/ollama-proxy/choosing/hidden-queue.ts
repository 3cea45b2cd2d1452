/** An end that came so soon behind a request's beginning says nothing of it, ms. */
const WELL_BEFORE_MS = 500

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
  /** It takes so many at once, whatever it says. */
  onFound(key: string, slots: number): void
}

interface Watched {
  ends: { sentAt: number; endedAt: number }[]
  times: number
  slots: number
}

export type HiddenQueues = ReturnType<typeof createHiddenQueues>

/**
 * Finds servers that take more requests than they serve at once: a stream that was sent well before another one's end, and
 * whose first token came only behind that, has waited there, out of the hub's sight and in no fair order.
 */
export function createHiddenQueues({ onFound }: HiddenQueuesOptions) {
  const watched = new Map<string, Watched>()

  function hasWaited({ ends }: Watched, { sentAt, firstAt }: Streamed): boolean {
    return ends.some((end) => end.sentAt < sentAt && end.endedAt > sentAt + WELL_BEFORE_MS && end.endedAt <= firstAt)
  }

  return {
    note(streamed: Streamed): void {
      const { key, sentAt, endedAt, beside } = streamed
      const state = watched.get(key) ?? { ends: [], times: 0, slots: Number.POSITIVE_INFINITY }
      watched.set(key, state)
      if (beside > 0) state.times = hasWaited(state, streamed) ? state.times + 1 : 0
      state.ends.push({ sentAt, endedAt })
      if (state.ends.length > MAX_ENDS) state.ends.shift()
      if (state.times < TIMES) return
      state.times = 0
      // One less than ran at once when it had to wait.
      state.slots = Math.min(state.slots, Math.max(1, beside))
      onFound(key, state.slots)
    },

    /** The most that it was seen to serve at once; no bound where it never kept anybody waiting. */
    slotsOf: (key: string): number => watched.get(key)?.slots ?? Number.POSITIVE_INFINITY,

    forget(key: string): void {
      watched.delete(key)
    },
  }
}
