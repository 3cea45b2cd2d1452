import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord, Target } from '../room-store/store.ts'
import { askJson } from './ask.ts'
import { keepOffered } from './ollama-lists.ts'

export interface SurveyOptions {
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Pick<Clock, 'elapsed'>
}

/** A participant that takes longer is left out of the list: whoever asked wants it now. */
const TIMEOUT_MS = 2000

/** A list may be as old as this, so that a page that polls it costs a participant next to nothing. */
const FRESH_MS = 5000

/** As much as a server with hundreds of models has to say, bytes. */
const MAX_BYTES = 256 * 1024

/** At once, for one list: what they answer is in memory as a whole for a moment. */
const AT_ONCE = 16

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
      const asked = { path, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES }
      const { statusCode, body } = await askJson(dispatcherFor(record), record.target, asked)
      // What is kept is what the lists are made of: a server may send much more.
      return statusCode === 200 && body !== undefined ? keepOffered(body, record.participant.models) : undefined
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

  async function askAll(records: readonly ParticipantRecord[], path: string) {
    const answers: (Record<string, unknown> | undefined)[] = []
    for (let from = 0; from < records.length; from += AT_ONCE) {
      const some = records.slice(from, from + AT_ONCE)
      answers.push(...(await Promise.all(some.map((record) => answerOf(record, path)))))
    }
    return answers
  }

  return {
    /** @returns what each participant that is there answered, where it did, in the order of joining */
    async of(records: readonly ParticipantRecord[], path: string): Promise<Surveyed[]> {
      const present = records.filter(({ participant }) => participant.status !== 'offline')
      const answers = await askAll(present.slice(0, MAX_ASKED), path)
      return present.map((record, index) => {
        const answer = answers[index]
        return { record, ...(answer === undefined ? {} : { answer }) }
      })
    },
  }
}

export interface Surveyed {
  readonly record: ParticipantRecord
  readonly answer?: Record<string, unknown>
}
