import type { ParticipantRecord } from '../room-store/store.ts'

/** Servers are updated: what one did not speak then it may speak now, ms. */
export const HOLDS_MS = 600_000

/** Participants of all rooms together; those that said it longest ago are forgotten first. */
export const MAX_REMEMBERED = 10_000

export interface UnspokenOptions {
  /** Of a monotonic clock, ms. */
  now(): number
}

export type Unspoken = ReturnType<typeof createUnspoken>

type Server = Pick<ParticipantRecord, 'key' | 'target'> & { participant: { joinedAt: number } }

interface Told {
  /** Under the same key somebody else may be there by now. */
  readonly joinedAt: number
  readonly machine: string
  readonly paths: Map<string, number>
  last: number
}

/** Paths that a participant's own server said it does not have. As many as the hub has endpoints, for each participant. */
export function createUnspoken({ now }: UnspokenOptions) {
  /** Who said it last stands last. */
  const byKey = new Map<string, Told>()

  function toldBy({ key, target, participant }: Server): Told | undefined {
    const told = byKey.get(key)
    return told?.joinedAt === participant.joinedAt && told.machine === machineOf(target) ? told : undefined
  }

  function forgetOld(): void {
    const since = now() - HOLDS_MS
    for (const [key, { last }] of byKey) {
      if (last > since && byKey.size <= MAX_REMEMBERED) return
      byKey.delete(key)
    }
  }

  return {
    note(server: Server, path: string): void {
      const { key, target, participant } = server
      const paths = toldBy(server)?.paths ?? new Map<string, number>()
      const last = now()
      byKey.delete(key)
      byKey.set(key, {
        joinedAt: participant.joinedAt,
        machine: machineOf(target),
        paths: paths.set(path, last),
        last,
      })
      forgetOld()
    },

    isUnspoken(server: Server, path: string): boolean {
      return now() - (toldBy(server)?.paths.get(path) ?? Number.NEGATIVE_INFINITY) < HOLDS_MS
    },

    /** Whether anything is known to be unspoken at all. */
    get isEmpty(): boolean {
      if (byKey.size > 0) forgetOld()
      return byKey.size === 0
    },
  }
}

function machineOf({ origin, basePath }: ParticipantRecord['target']): string {
  return `${origin}${basePath}`
}

const NOT_FOUND = 404

/** RFC 9110 §15.5.5, §15.5.6, §15.6.2. */
const NO_SUCH_PATH: ReadonlySet<number> = new Set([NOT_FOUND, 405, 501])

/** Whether an answer of this status may say that the server has no such path. */
export function mayLackPath(statusCode: number): boolean {
  return NO_SUCH_PATH.has(statusCode)
}

/**
 * How servers say it, and nothing else: Ollama (gin) `404 page not found`, llama.cpp `File Not Found`, vLLM (FastAPI)
 * `Not Found` and `Method Not Allowed`, LocalAI `Resource not found`, Express `Cannot POST /…`, OpenAI `Invalid URL (POST /…)`,
 * LM Studio `Unexpected endpoint or method. (POST /…)`. Other messages are about what a request names, and may repeat it: a
 * model, a response, a file.
 */
const ABOUT_THE_PATH = [
  /^(?:404 )?(?:page )?not found\.?$/i,
  /^File Not Found$/,
  /^(?:resource|route) not found\.?$/i,
  /^(?:405 )?method not allowed\.?$/i,
  /^(?:501 )?not implemented\.?$/i,
  /^cannot (?:get|post|put|delete) \/\S*$/i,
  /^invalid url \((?:get|post|put|delete) \/[^\s)]*\)$/i,
  /^unexpected endpoint or method\. \((?:get|post|put|delete) \/[^\s)]*\)[^\n]{0,40}$/i,
]

/** `lacking`: in words that are about the path and nothing else; `perhaps`: by its status alone. */
export type ToldOfPath = 'lacking' | 'perhaps' | 'no'

/** What an answer says of the path that was asked for. */
export function toldOfPath(statusCode: number, body: string): ToldOfPath {
  if (!mayLackPath(statusCode)) return 'no'
  const message = messageOf(body).trim()
  if (ABOUT_THE_PATH.some((pattern) => pattern.test(message))) return 'lacking'
  return statusCode !== NOT_FOUND || message === '' ? 'perhaps' : 'no'
}

/** The words of an error: FastAPI's `detail`, OpenAI's `error.message`, Ollama's `error`, Express' page, or all there is. */
function messageOf(body: string): string {
  const page = /<pre>([^<]*)<\/pre>/i.exec(body)
  if (page !== null) return page[1] ?? ''
  try {
    const { detail, error, message } = JSON.parse(body) as Record<string, unknown>
    const told = [detail, error, (error as { message?: unknown } | undefined)?.message, message]
    return told.find((text) => typeof text === 'string') ?? body
  } catch {
    return body
  }
}
