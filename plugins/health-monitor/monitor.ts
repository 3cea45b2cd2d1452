import type { Clock } from '../../schemas/clock.ts'
import type { RoomStore } from '../room-store/store.ts'

export interface HealthMonitorOptions {
  store: Pick<RoomStore, 'takeSilent' | 'takeExpired' | 'takeIdleRooms'>
  clock: Pick<Clock, 'now'>
  /** Silence after which a participant is offline: three missed heartbeats of 10 s. */
  timeoutMs: number
  /** Time between two looks. */
  tickMs: number
  /** How long a participant may be offline before it is removed. */
  participantTtlMs: number
  /** How long a room may have neither participants nor visits before it is closed. */
  roomTtlMs: number
}

/** What one look changed. */
export interface Swept {
  offline: number
  expired: number
  closed: number
}

/** A tick that comes later or earlier by more than this says that the clock was set, or that the hub itself slept. */
const LATE_TICKS = 5

/** Nobody is judged by a clock that jumped: each limit begins anew. */
class Grace {
  /** A clock that is set back by less than this is no jump, and ends no grace. */
  readonly #marginMs: number
  #until = Number.NEGATIVE_INFINITY

  constructor(marginMs: number) {
    this.#marginMs = marginMs
  }

  begin(now: number, ms: number): void {
    this.#until = now + ms
  }

  /** A clock that was set back leaves an end in the far future, so what is much further off than `ms` counts as over. */
  isOver(now: number, ms: number): boolean {
    return now >= this.#until || this.#until - now > ms + this.#marginMs
  }
}

export type HealthMonitor = ReturnType<typeof createHealthMonitor>

/** Marks silent participants as offline, once per change; removes those who stay away, and rooms that nobody uses. */
export function createHealthMonitor(options: HealthMonitorOptions) {
  const { store, clock, timeoutMs, tickMs, participantTtlMs, roomTtlMs } = options
  const silence = new Grace(LATE_TICKS * tickMs)
  const absence = new Grace(LATE_TICKS * tickMs)
  const idleness = new Grace(LATE_TICKS * tickMs)
  let expectedAt = clock.now()

  function noticeJump(now: number): void {
    const isJump = Math.abs(now - expectedAt) > LATE_TICKS * tickMs
    expectedAt = now + tickMs
    if (!isJump) return
    silence.begin(now, timeoutMs)
    absence.begin(now, participantTtlMs)
    idleness.begin(now, roomTtlMs)
  }

  return {
    /** One look; the plugin calls it on a timer. */
    async tick(): Promise<Swept> {
      const now = clock.now()
      noticeJump(now)
      const silent = silence.isOver(now, timeoutMs) ? await store.takeSilent(now, timeoutMs) : []
      const expired = absence.isOver(now, participantTtlMs) ? await store.takeExpired(now, participantTtlMs) : []
      const closed = idleness.isOver(now, roomTtlMs) ? await store.takeIdleRooms(now, roomTtlMs) : []
      return { offline: silent.length, expired: expired.length, closed: closed.length }
    },
  }
}
