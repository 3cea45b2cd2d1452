import createError from '@fastify/error'
import { type Static, Type } from '@sinclair/typebox'

/** What every failure of the hub's own API looks like. */
export const ErrorBody = Type.Object({ error: Type.String() }, { description: 'One sentence that says what to do' })
export type ErrorBody = Static<typeof ErrorBody>

const MEANINGS = {
  400: 'Not usable as it is: the error names the field and what it must be',
  401: 'No credential, or a wrong one',
  403: 'A right credential of the wrong role',
  404: 'No such room or participant',
  409: 'The code, id or name is in use: the error says which',
  413: 'The body is larger than the limit',
  426: 'Only as a WebSocket, of a version that the hub speaks: the error says which',
  429: 'Too much for now: `Retry-After` says for how many seconds',
  503: 'The hub is shutting down',
} as const

type Status = keyof typeof MEANINGS

/** The failures of a route, for its `response` schema. */
export function errors<S extends Status>(...statuses: S[]): Record<S, typeof ErrorBody> {
  const entries = statuses.map((status) => [status, { ...ErrorBody, description: MEANINGS[status] }])
  return Object.fromEntries(entries) as Record<S, typeof ErrorBody>
}

export const MissingFields = createError<[string]>('PTL_MISSING_FIELDS', '%s', 400)
export const InvalidField = createError<[string]>('PTL_INVALID_FIELD', '%s', 400)
export const InvalidJson = createError<[string]>('PTL_INVALID_JSON', 'The body is not valid JSON: %s', 400)
export const InvalidEndpoint = createError<[string]>('PTL_INVALID_ENDPOINT', '%s', 400)

export const BodyTooLarge = createError<[number]>('PTL_BODY_TOO_LARGE', 'The body is larger than %d bytes', 413)

export const RoomNotNamed = createError(
  'PTL_ROOM_NOT_NAMED',
  'Which room? Put it into the base URL (/rooms/CODE/v1), or send its code as API key: CODE, or CODE:password where it has one',
  404,
)
export const RoomNotFound = createError('PTL_ROOM_NOT_FOUND', 'Room not found', 404)
export const ParticipantNotFound = createError('PTL_PARTICIPANT_NOT_FOUND', 'Participant not found', 404)
export const RouteNotFound = createError<[string]>('PTL_ROUTE_NOT_FOUND', 'Nothing is served at %s', 404)

export const InvalidPassword = createError('PTL_INVALID_PASSWORD', 'Invalid password', 401)
export const TokenRequired = createError(
  'PTL_TOKEN_REQUIRED',
  "This needs the participant's token, sent as `Authorization: Bearer <token>`",
  401,
)

export const HostTokenRequired = createError(
  'PTL_HOST_TOKEN_REQUIRED',
  'This needs the host token of the room, sent as `Authorization: Bearer <token>`',
  401,
)
export const HostOnly = createError('PTL_HOST_ONLY', 'Only the host of the room may do this', 403)
export const NotYourParticipant = createError(
  'PTL_NOT_YOUR_PARTICIPANT',
  'This participant is not yours; the host of the room may pause or remove it',
  403,
)

export const InvalidCursor = createError(
  'PTL_INVALID_CURSOR',
  'cursor is not one that this hub gave out: begin again without it',
  400,
)
export const PasswordRequired = createError(
  'PTL_PASSWORD_REQUIRED',
  'This room has a password: send it, or a token of yours, as `Authorization: Bearer <password>`',
  401,
)
export const AdminOnly = createError(
  'PTL_ADMIN_ONLY',
  "This needs the hub's admin token, sent as `Authorization: Bearer <token>`",
  401,
)
export const Forbidden = createError<[string]>('PTL_FORBIDDEN', '%s', 403)
export const ConflictingCredentials = createError(
  'PTL_CONFLICTING_CREDENTIALS',
  'The request carries two different credentials: send one',
  400,
)

/** A failure that is over after a while; the answer says when, in `Retry-After` (RFC 9110 §10.2.3). */
const TooManyGuessesBase = createError<[number]>(
  'PTL_TOO_MANY_GUESSES',
  'Too many wrong passwords from your address: try again in %d s',
  429,
)
export class TooManyGuesses extends TooManyGuessesBase {
  readonly retryAfterS: number
  constructor(retryAfterS: number) {
    super(retryAfterS)
    this.retryAfterS = retryAfterS
  }
}

const OverBudgetBase = createError<[string, number]>('PTL_OVER_BUDGET', '%s: try again in %d s', 429)
export class OverBudget extends OverBudgetBase {
  readonly retryAfterS: number
  constructor(what: string, retryAfterS: number) {
    super(what, retryAfterS)
    this.retryAfterS = retryAfterS
  }
}

const HubBusyBase = createError('PTL_HUB_BUSY', 'The hub checks too many passwords at once: try again in a moment', 503)
export class HubBusy extends HubBusyBase {
  readonly retryAfterS = 1
}

const QueueFullBase = createError<[number]>(
  'PTL_QUEUE_FULL',
  'Too many requests wait in this room already: try again in %d s',
  429,
)
export class QueueFull extends QueueFullBase {
  readonly retryAfterS: number
  constructor(retryAfterS: number) {
    super(retryAfterS)
    this.retryAfterS = retryAfterS
  }
}

const QueueTimeoutBase = createError<[number]>(
  'PTL_QUEUE_TIMEOUT',
  'Everybody who could answer was busy for too long: try again in %d s',
  429,
)
export class QueueTimeout extends QueueTimeoutBase {
  readonly retryAfterS: number
  constructor(retryAfterS: number) {
    super(retryAfterS)
    this.retryAfterS = retryAfterS
  }
}

export const KeyNotFound = createError('PTL_KEY_NOT_FOUND', 'No such key in this room', 404)
export const CodeTaken = createError<[string]>('PTL_CODE_TAKEN', 'The room code %s is in use', 409)
export const ParticipantIdTaken = createError(
  'PTL_PARTICIPANT_ID_TAKEN',
  'This participant id is in use: choose another, or send the token that the first join returned',
  409,
)
export const IdIsModel = createError<[string]>(
  'PTL_ID_IS_MODEL',
  'The id %s is the name of a model on offer in this room: choose another id',
  409,
)
export const ModelIsId = createError<[string]>(
  'PTL_MODEL_IS_ID',
  "The model name %s is another participant's id in this room: offer it under another name",
  409,
)

export const RoomFull = createError<[number]>('PTL_ROOM_FULL', 'The room has %d participants, and takes no more', 409)

export const NoParticipant = createError('PTL_NO_PARTICIPANT', 'No available participant for the requested model', 404)
export const AliasLeadsNowhere = createError<[string]>(
  'PTL_NO_PARTICIPANT',
  'No available participant for the requested model: nobody offers what the alias %s leads to',
  404,
)
export const ParticipantOffline = createError('PTL_PARTICIPANT_OFFLINE', 'Participant is offline', 503)
export const NobodyAble = createError<[string]>(
  'PTL_NOBODY_ABLE',
  'Nobody who offers the requested model can %s: name another model',
  400,
)
export const PromptTooLong = createError<[number, string, number]>(
  'PTL_PROMPT_TOO_LONG',
  'The prompt has some %d tokens or more: the largest context window for this model here is that of %s, with %d',
  400,
)
export const ParticipantPaused = createError(
  'PTL_PARTICIPANT_PAUSED',
  'Everybody who offers the requested model has paused: try again later, or name another model',
  503,
)
export const ProxyFailed = createError<[string, { cause: unknown }?]>(
  'PTL_PROXY_FAILED',
  'Failed to proxy request: %s',
  502,
)
export const ResponseNotFound = createError<[string]>(
  'PTL_RESPONSE_NOT_FOUND',
  'No participant of this room is known to have made %s: it may have left, or the hub was restarted since',
  404,
)
export const ManagementRefused = createError(
  'PTL_MANAGEMENT_REFUSED',
  'Nobody here offers such a model, or lets others fetch or change models (a participant does by `manage: true` on join)',
  403,
)
export const ManagerUnclear = createError(
  'PTL_MANAGER_UNCLEAR',
  'Several participants let others change their models: name one by the header `x-potluck-participant: <id>`',
  400,
)
export const LoopDetected = createError(
  'PTL_LOOP_DETECTED',
  'This request came from this hub: a participant of the room points back at it',
  508,
)
export const UpgradeRefused = createError(
  'PTL_UPGRADE_REFUSED',
  'There is no WebSocket here: send it as a plain HTTP request',
  426,
)
export const TunnelNotWebSocket = createError<[string]>(
  'PTL_TUNNEL_NOT_WEBSOCKET',
  'A tunnel is a WebSocket with the subprotocol %s. Where this was one, a proxy in between does not let WebSockets through: reach the hub directly, or join with an endpoint (`potluck join --direct`)',
  426,
)
export const TunnelVersionUnknown = createError<[string]>(
  'PTL_TUNNEL_VERSION_UNKNOWN',
  'This hub speaks tunnels of the version %s: update potluck on the older side',
  426,
)
export const NotTunnelled = createError(
  'PTL_NOT_TUNNELLED',
  'This participant joined with an endpoint: join anew with `tunnel: true` to open a tunnel',
  409,
)
export const TooManyTunnels = createError('PTL_TOO_MANY_TUNNELS', 'Too many tunnels are open: try again later', 503)
export const HubClosing = createError('PTL_HUB_CLOSING', 'The hub is shutting down: try again in a moment', 503)
export const RoomClosed = createError('PTL_ROOM_CLOSED', 'The room was closed', 503)
