import type { Clock } from '../../schemas/clock.ts'

/** What the monitor needs of the room store. */
export interface LivenessStore {
  takeSilent(now: number, timeoutMs: number): Promise<readonly unknown[]>
}

export interface HealthMonitorOptions {
  store: LivenessStore
  clock: Clock
  /** Silence after which a participant is offline: three missed heartbeats of 10 s. */
  timeoutMs: number
  /** Time between two looks. */
  tickMs: number
}

/** Ticks that came late or early by more than this say that the clock was set or that the hub itself slept. */
const LATE_TICKS = 5

export type HealthMonitor = ReturnType<typeof createHealthMonitor>

/** Marks silent participants as offline, once per change. */
export function createHealthMonitor({ store, clock, timeoutMs, tickMs }: HealthMonitorOptions) {
  let expectedAt = clock.now()
  let graceUntil = Number.NEGATIVE_INFINITY

  /** After a jump nobody has had a chance to be heard, so nobody is judged until everybody has had it. */
  function noticeJump(now: number): void {
    if (Math.abs(now - expectedAt) > LATE_TICKS * tickMs) graceUntil = now + timeoutMs
    expectedAt = now + tickMs
  }

  return {
    /** One look; `start` calls it on a timer. @returns how many went offline. */
    async tick(): Promise<number> {
      const now = clock.now()
      noticeJump(now)
      if (now < graceUntil && graceUntil - now <= timeoutMs) return 0
      const silent = await store.takeSilent(now, timeoutMs)
      return silent.length
    },
  }
}
