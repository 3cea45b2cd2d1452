import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord, Target } from '../room-store/store.ts'
import { askJson } from './ask.ts'

export interface SurveyOptions {
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Pick<Clock, 'elapsed'>
}

/** A participant that takes longer is left out of the list: whoever asked wants it now. */
const TIMEOUT_MS = 2000

/** A list may be as old as this, so that a page that polls it costs a participant next to nothing. */
const FRESH_MS = 5000

/** Participants that are asked for one list; of those beyond the hub tells what they told it themselves. */
export const MAX_ASKED = 100

export type Survey = ReturnType<typeof createSurvey>

interface Heard {
  at: number
  answer: Promise<Record<string, unknown> | undefined>
}

/** Asks all participants of a room the same question. */
export function createSurvey({ dispatcherFor, clock }: SurveyOptions) {
  /** By the target, which a participant that joins anew has anew; it goes when the participant goes. */
  const heard = new WeakMap<Target, Map<string, Heard>>()

  async function ask(record: ParticipantRecord, path: string): Promise<Record<string, unknown> | undefined> {
    try {
      const { statusCode, body } = await askJson(dispatcherFor(record), record.target, path, TIMEOUT_MS)
      return statusCode === 200 ? body : undefined
    } catch {
      return undefined
    }
  }

  function answerOf(record: ParticipantRecord, path: string): Heard['answer'] {
    const byPath = heard.get(record.target) ?? new Map<string, Heard>()
    heard.set(record.target, byPath)
    const known = byPath.get(path)
    const now = clock.elapsed()
    if (known !== undefined && now - known.at < FRESH_MS) return known.answer
    const answer = ask(record, path)
    byPath.set(path, { at: now, answer })
    return answer
  }

  return {
    /** @returns what each participant that is there answered, where it did, in the order of joining */
    async of(records: readonly ParticipantRecord[], path: string): Promise<Surveyed[]> {
      const present = records.filter(({ participant }) => participant.status !== 'offline')
      return Promise.all(
        present.map(async (record, index) => {
          const answer = index < MAX_ASKED ? await answerOf(record, path) : undefined
          return { record, ...(answer === undefined ? {} : { answer }) }
        }),
      )
    },
  }
}

export interface Surveyed {
  readonly record: ParticipantRecord
  readonly answer?: Record<string, unknown>
}
