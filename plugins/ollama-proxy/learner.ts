import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord, Target } from '../room-store/store.ts'
import { askJson } from './ask.ts'
import { type Knowledge, learn, NO_KNOWLEDGE } from './knowledge.ts'

export interface LearnerOptions {
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Pick<Clock, 'elapsed'>
  /** What was learnt may be so old; 0: nothing is ever asked. */
  intervalMs: number
  /** Something is known now that was not, or is no longer true. */
  onChange(record: ParticipantRecord): void
}

/** A server that is busy answers late; it is asked again later. */
const TIMEOUT_MS = 3000

/** For all questions to one server. */
const DEADLINE_MS = 8000

/** What a server says of one thing, bytes. */
const MAX_BYTES = 256 * 1024

/** Servers of one room that are asked at once: slow ones of one room keep nobody else's from being asked. */
const MAX_OF_A_ROOM = 4

/** Servers that are asked at once: a room of a thousand joins within a second. */
const MAX_AT_ONCE = 16

export type Learner = ReturnType<typeof createLearner>

/** Keeps fresh what is known of the participants' servers: asked behind everybody's back, so that no request waits for it. */
export function createLearner({ dispatcherFor, clock, intervalMs, onChange }: LearnerOptions) {
  /** By the target, which a participant that joins anew has anew; it goes when the participant goes. */
  const known = new WeakMap<Target, { knowledge: Knowledge; at: number; models: readonly string[] }>()
  const queue = new Map<string, ParticipantRecord>()
  const asking = new Map<Target, string>()
  let isClosed = false

  function isFresh({ target, participant }: ParticipantRecord): boolean {
    const entry = known.get(target)
    return entry !== undefined && entry.models === participant.models && clock.elapsed() - entry.at < intervalMs
  }

  async function ask(record: ParticipantRecord): Promise<void> {
    const dispatcher = dispatcherFor(record)
    const endAt = clock.elapsed() + DEADLINE_MS
    const knowledge = await learn(async (path, body) => {
      const timeoutMs = Math.min(TIMEOUT_MS, endAt - clock.elapsed())
      if (timeoutMs <= 0) throw new Error('It takes too long')
      const question = { path, timeoutMs, maxBytes: MAX_BYTES, ...(body === undefined ? {} : { body }) }
      const answer = await askJson(dispatcher, record.target, question)
      return answer.statusCode === 200 ? answer.body : undefined
    }, record.participant.models).catch(() => undefined)
    const before = known.get(record.target)?.knowledge
    // Who does not answer has not become another: what was known of it stays.
    const now = knowledge ?? before ?? NO_KNOWLEDGE
    known.set(record.target, { knowledge: now, at: clock.elapsed(), models: record.participant.models })
    if (!isClosed && !isSame(before, now)) onChange(record)
  }

  function start(record: ParticipantRecord): void {
    asking.set(record.target, record.roomId)
    void ask(record).finally(() => {
      asking.delete(record.target)
      next()
    })
  }

  function countOf(roomId: string): number {
    let count = 0
    for (const room of asking.values()) if (room === roomId) count += 1
    return count
  }

  function next(): void {
    for (const [key, record] of queue) {
      if (asking.size >= MAX_AT_ONCE) return
      // Who is slow is not asked twice at the same time, however often others look.
      if (asking.has(record.target) || countOf(record.roomId) >= MAX_OF_A_ROOM) continue
      queue.delete(key)
      if (!isFresh(record)) start(record)
    }
  }

  return {
    of: ({ target }: ParticipantRecord): Knowledge => known.get(target)?.knowledge ?? NO_KNOWLEDGE,

    /** Asks those of whom nothing is known, or nothing fresh. */
    look(records: readonly ParticipantRecord[]): void {
      if (intervalMs === 0 || isClosed) return
      for (const record of records) {
        if (record.participant.status !== 'offline' && !isFresh(record)) queue.set(record.key, record)
      }
      next()
    },

    close(): void {
      isClosed = true
      queue.clear()
    },
  }
}

function isSame(before: Knowledge | undefined, now: Knowledge): boolean {
  return before !== undefined && JSON.stringify(plain(before)) === JSON.stringify(plain(now))
}

function plain({ models, ...rest }: Knowledge): object {
  const told = Array.from(models, ([name, { abilities, ...model }]) => [
    name,
    { ...model, abilities: [...(abilities ?? ['?'])] },
  ])
  return { ...rest, models: told }
}
