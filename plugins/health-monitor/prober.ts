import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord, RoomStore } from '../room-store/store.ts'

/** What an endpoint answered to the question whether it is an LLM server. */
export type ProbeResult =
  | { kind: 'alive' }
  /** Nobody there, or nobody who answers in time: it may come back. */
  | { kind: 'unreachable'; reason: string }
  /** Somebody answers, but it is no LLM server. */
  | { kind: 'stranger'; reason: string }

export interface ProberOptions {
  store: Pick<RoomStore, 'takeDueProbes' | 'recordProbe'>
  probe(record: ParticipantRecord): Promise<ProbeResult>
  clock: Pick<Clock, 'now'>
  /** Between two probes of a participant that answers. */
  intervalMs: number
  /** The pause doubles with each failure, up to this. */
  maxIntervalMs: number
  /** @returns 0 to 1; spreads the probes, so that a hub with many does not send them all at once */
  random?: () => number
}

/** At once: each holds a socket, and a LAN of sleeping machines answers none of them. */
export const MAX_PROBES = 32

/** A hub that dies in the midst of a probe leaves it to the next one after this. */
const LEASE_MS = 60_000

/** Up to this share of a pause is left off at random. */
const JITTER = 0.2

export type Prober = ReturnType<typeof createProber>

/** Asks participants who send no heartbeats whether they are there: a good answer counts as a heartbeat. */
export function createProber(options: ProberOptions) {
  const { store, probe, clock, intervalMs, maxIntervalMs, random = Math.random } = options
  /** In a row. By the target, which a participant that joins anew has anew; it goes when the participant goes. */
  const failures = new WeakMap<ParticipantRecord['target'], number>()
  let running = 0

  function pauseAfter({ target }: ParticipantRecord, isAlive: boolean): number {
    const count = isAlive ? 0 : (failures.get(target) ?? 0) + 1
    failures.set(target, count)
    const pause = Math.min(intervalMs * 2 ** Math.max(0, count - 1), maxIntervalMs)
    return pause * (1 - JITTER * random())
  }

  async function look(record: ParticipantRecord): Promise<void> {
    const result = await probe(record)
    const at = clock.now()
    const isFirst = record.participant.lastSeen === record.participant.joinedAt
    const nextAt = at + pauseAfter(record, result.kind === 'alive')
    const failure = result.kind === 'alive' ? {} : { failure: result.reason }
    const isFinal = result.kind === 'stranger' || (result.kind === 'unreachable' && isFirst)
    await store.recordProbe(record, { at, nextAt, isFinal, ...failure })
  }

  return {
    /** Starts the probes that are due; resolves when they have ended. */
    async tick(): Promise<void> {
      const free = MAX_PROBES - running
      if (free <= 0) return
      running += free
      const due = await store.takeDueProbes(clock.now(), LEASE_MS, free).finally(() => {
        running -= free
      })
      running += due.length
      const looks = due.map((record) =>
        look(record).finally(() => {
          running -= 1
        }),
      )
      await Promise.all(looks)
    },
  }
}
