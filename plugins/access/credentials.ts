import type { IncomingHttpHeaders } from 'node:http'

/** Longer than any password or token; the rest of what somebody sends is not looked at. */
const MAX_CREDENTIAL = 1024

/** RFC 6750 §2.1, but any text: a room's password is one that a person made up. The scheme's case does not matter (RFC 9110 §11.1). */
const BEARER = /^Bearer +(.*)$/i

export interface Credentials {
  /** Absent where the client shows nothing; of two, the bearer token. */
  readonly credential?: string
  /** Two that differ: whoever must choose between them can't. */
  readonly isConflicting: boolean
}

const NONE: Credentials = { isConflicting: false }

/** What the client shows of itself: `Authorization: Bearer …`, or `x-api-key` as Anthropic's clients send it. */
export function credentialsOf(headers: IncomingHttpHeaders): Credentials {
  if (headers.authorization === undefined && headers['x-api-key'] === undefined) return NONE
  const bearer = BEARER.exec(headers.authorization ?? '')?.[1]?.trim()
  const apiKey = headers['x-api-key']
  const key = Array.isArray(apiKey) ? apiKey[0] : apiKey?.trim()
  const credential = isGiven(bearer) ? bearer : key
  const isConflicting = isGiven(bearer) && isGiven(key) && bearer !== key
  return isGiven(credential)
    ? { credential: utf8(credential).slice(0, MAX_CREDENTIAL), isConflicting }
    : { isConflicting }
}

function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

/** Node reads headers as Latin-1; a password beyond ASCII is sent as UTF-8 by every client that can send it at all. */
function utf8(text: string): string {
  const decoded = Buffer.from(text, 'latin1').toString('utf8')
  return decoded.includes('�') ? text : decoded
}
