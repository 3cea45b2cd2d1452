/** What the hub's failures are told apart by; the codes are those of its catalogue. */
const SENTENCES: readonly (readonly [status: number, code: string, sentence: RegExp])[] = [
  [400, 'PTL_INVALID_ENDPOINT', /^endpoint\b/],
  [401, 'PTL_INVALID_PASSWORD', /^Invalid password$/],
  [401, 'PTL_PASSWORD_REQUIRED', /^This room has a password\b/],
  [401, 'PTL_TOKEN_REQUIRED', /^This needs the participant's token\b/],
  [401, 'PTL_ADMIN_ONLY', /^This needs the hub's admin token\b/],
  [403, 'PTL_NOT_YOUR_PARTICIPANT', /^This participant is not yours\b/],
  [404, 'PTL_ROOM_NOT_FOUND', /^Room not found$/],
  [404, 'PTL_PARTICIPANT_NOT_FOUND', /^Participant not found$/],
  [404, 'PTL_NO_PARTICIPANT', /^No available participant\b/],
  [502, 'PTL_PROXY_FAILED', /^Failed to proxy request\b/],
  [503, 'PTL_PARTICIPANT_OFFLINE', /^Participant is offline$/],
  [503, 'PTL_PARTICIPANT_PAUSED', /^Everybody who offers the requested model has paused\b/],
  [404, 'PTL_ROUTE_NOT_FOUND', /^Nothing is served at\b/],
  [409, 'PTL_CODE_TAKEN', /^The room code \S+ is in use\b/],
  [409, 'PTL_PARTICIPANT_ID_TAKEN', /^This participant id is in use\b/],
  [409, 'PTL_ID_IS_MODEL', /^The id \S+ is the name of a model\b/],
  [409, 'PTL_MODEL_IS_ID', /^The model name .+ is another participant's id\b/],
  [409, 'PTL_ROOM_FULL', /^The room has \d+ participants\b/],
  [429, 'PTL_TOO_MANY_GUESSES', /^Too many wrong passwords\b/],
]

/**
 * The hub answered, and refused. `message` is its sentence, `code` that of its error catalogue as far as it is one that
 * programs tell apart.
 */
export class HubError extends Error {
  readonly status: number
  readonly code: string
  /** By its `Retry-After`. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, message: string, retryAfterMs?: number) {
    super(message)
    this.name = 'HubError'
    this.status = status
    this.code = codeOf(status, message)
    this.retryAfterMs = retryAfterMs
  }
}

/** The participant that was asked refused or failed, in its own words. */
export class ParticipantError extends Error {
  readonly code = 'PTL_PARTICIPANT_FAILED'
  readonly participant: string
  readonly status: number
  constructor(participant: string, status: number, message: string | undefined) {
    super(`${participant}: ${message ?? `it answered ${status}`}`)
    this.name = 'ParticipantError'
    this.participant = participant
    this.status = status
  }
}

/** No answer came: the hub is not there, too slow, or something else listens at its address. */
export class HubUnreachable extends Error {
  readonly code = 'PTL_HUB_UNREACHABLE'
  readonly url: string
  constructor(url: string, why: string, options?: ErrorOptions) {
    super(`The hub at ${url} can't be reached: ${why}`, options)
    this.name = 'HubUnreachable'
    this.url = url
  }
}

/** Something answered that is no Potluck hub. */
export class NotAHub extends Error {
  readonly code = 'PTL_NOT_A_HUB'
  readonly url: string
  constructor(url: string) {
    super(`What answers at ${url} is no Potluck hub`)
    this.name = 'NotAHub'
    this.url = url
  }
}

function codeOf(status: number, message: string): string {
  const known = SENTENCES.find(([of, , sentence]) => of === status && sentence.test(message))
  return known?.[1] ?? (status >= 500 ? 'PTL_HUB_FAILED' : 'PTL_REFUSED')
}

/** Where a failed fetch hides its cause: undici's and browsers' own sentence is "fetch failed". */
export function reasonOf(error: unknown): string {
  const { cause, name, message } = error as Error
  if (name === 'TimeoutError') return 'it did not answer in time'
  const { code, message: deeper } = (cause ?? {}) as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  // https://fetch.spec.whatwg.org/#port-blocking
  if (deeper === 'bad port') {
    return 'it is at a port that neither browsers nor Node.js connect to: give the port that the hub says when it starts, usually 3000'
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'no such host'
  if (code?.includes('SELF_SIGNED') || code?.startsWith('UNABLE_TO_')) {
    return `its certificate is not trusted (${code}): set NODE_EXTRA_CA_CERTS to the hub's tls-cert.pem`
  }
  return deeper || code || message
}
