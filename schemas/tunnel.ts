import { REQUEST_HEADERS, RESPONSE_HEADER_PREFIXES, RESPONSE_HEADERS } from './headers.ts'

/** What both ends of a tunnel agree on: HTTP/2 (RFC 9113) over one WebSocket (RFC 6455), the hub asks and the participant answers. */

/** The subprotocol of the WebSocket; what would break an older end gets a new number. */
export const TUNNEL_PROTOCOL = 'potluck.tunnel.v1'

/** Why a tunnel was closed, as the code of the WebSocket's close frame (RFC 6455 §7.4.2: 4000 to 4999 are ours). */
export const TUNNEL_CLOSE = {
  /** Its end wants no more: the participant stops, or had a reason of its own. */
  done: 1000,
  /** The hub shuts down: come back in a moment. */
  goingAway: 1001,
  /** What came was no tunnel: a text frame, a frame beyond the limit, no HTTP/2. */
  noTunnel: 4000,
  /** The participant opened another one, or joined anew. */
  replaced: 4001,
  /** The participant left. */
  left: 4002,
  /** The host removed the participant, or it was away for too long. */
  removed: 4003,
  /** The room is closed. */
  roomClosed: 4004,
  /** Nothing was heard of the other end for too long. */
  silent: 4005,
} as const

/** A ping each so often, by the hub; the pong is the participant's heartbeat. */
export const PING_INTERVAL_MS = 10_000

/** What a ping of the hub carries when somebody changed the participant; an end that does not know it only sends the pong. */
export const TUNNEL_CHANGED = 'changed'

/** What it carries when the hub shuts down: its API may be gone from now on, the tunnel stands until all has ended. */
export const TUNNEL_CLOSING = 'closing'

/** A participant gives up a tunnel on which nothing came for so long: two pings were missed. */
export const HUB_SILENCE_MS = 25_000

/** The bounds of a tunnel. Each end holds the other one to them. */
export const TUNNEL_LIMITS = {
  /** Bytes in a WebSocket message that is sent: a ping never waits behind more. */
  messageBytes: 64 * 1024,
  /** Bytes in a WebSocket message that is taken; a larger one would be memory before it could be looked at. */
  maxMessageBytes: 128 * 1024,
  /** Pieces of one WebSocket message: each costs memory beside its bytes. */
  maxFragments: 64,
  /** Requests at once on one tunnel: each costs memory at both ends. */
  streams: 1000,
  /** Bytes of one answer that nobody has read yet: what a participant can fill in the hub, for each request. */
  answerWindowBytes: 128 * 1024,
  /** Bytes of one request that nobody has read yet; uploads are larger than answers. */
  requestWindowBytes: 256 * 1024,
  /** Bytes on their way in one direction, on all streams. */
  connectionWindowBytes: 4 * 1024 * 1024,
  /**
   * Bytes that wait to be sent. More than the connection window of the other end, so that two ends that both send never
   * wait for each other; whoever does not read gets no further than this.
   */
  backlogBytes: 8 * 1024 * 1024,
  /** Bytes of one request's or answer's headers, uncompressed as RFC 9113 §6.5.2 counts them. */
  headerListBytes: 32 * 1024,
  /** Header fields of one request or answer. */
  headerFields: 100,
  /** Entries of a SETTINGS frame (RFC 9113 defines seven). */
  settings: 16,
  /**
   * Requests that the hub takes back before their answer has ended, at once and a second. Beyond that it holds back new ones:
   * clients that go away in a hurry must not make a hub look like a flood (CVE-2023-44487).
   */
  resets: { burst: 500, perSecond: 100 },
  /** And beyond this, which such a hub can't reach with all that may run at once, the participant's end closes the tunnel. */
  floodOfResets: { burst: 2000, perSecond: 200 },
  /** How long an end may take until it speaks HTTP/2, ms. */
  handshakeMs: 10_000,
  /** How long the other end may take to answer a close frame, ms. */
  closeMs: 2000,
} as const

/**
 * Why the participant's end could not ask its server, as the error's code: an answer with this header is no answer of the
 * server's. Only codes that stand here are believed.
 */
export const TUNNEL_ERROR_HEADER = 'x-potluck-tunnel-error'

/** Says, on every answer of the path where tunnels are opened, which version the hub speaks: no proxy in between does. */
export const TUNNEL_VERSION_HEADER = 'x-potluck-tunnel'

/** One request that may come through a tunnel. */
export interface TunnelPath {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** `:id` stands for one name. */
  readonly path: string
  /** Parameters of the query. @default none */
  readonly query?: readonly string[]
  /** Changes what the participant has: only where its owner allowed that. */
  readonly manages?: boolean
  /** A small question about the server, by which nothing is generated. */
  readonly isQuestion?: boolean
}

const posts = (paths: readonly string[], more: Partial<TunnelPath> = {}): TunnelPath[] =>
  paths.map((path) => ({ method: 'POST', path, ...more }))
const gets = (paths: readonly string[], more: Partial<TunnelPath> = {}): TunnelPath[] =>
  paths.map((path) => ({ method: 'GET', path, ...more }))

const RESPONSE_QUERY = [
  'include',
  'include[]',
  'stream',
  'starting_after',
  'after',
  'before',
  'limit',
  'order',
] as const

/** All that the hub asks a participant's server; whatever else comes through a tunnel is refused at its other end. */
export const TUNNEL_PATHS: readonly TunnelPath[] = [
  ...posts([
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/embeddings',
    '/v1/rerank',
    '/v1/responses',
    '/v1/audio/transcriptions',
    '/v1/audio/translations',
    '/v1/audio/speech',
    '/v1/images/generations',
    '/v1/images/edits',
    '/v1/images/variations',
    '/api/chat',
    '/api/generate',
    '/api/embed',
    '/api/embeddings',
  ]),
  ...posts(['/api/show'], { isQuestion: true }),
  ...posts(['/v1/messages', '/v1/messages/count_tokens'], { query: ['beta'] }),
  ...gets(['/v1/responses/:id', '/v1/responses/:id/input_items'], { query: RESPONSE_QUERY }),
  ...posts(['/v1/responses/:id/cancel'], { query: RESPONSE_QUERY }),
  { method: 'DELETE', path: '/v1/responses/:id', query: RESPONSE_QUERY },
  ...posts(['/api/pull', '/api/push', '/api/create', '/api/copy'], { manages: true }),
  { method: 'DELETE', path: '/api/delete', manages: true },
  // What the hub learns of a server by.
  ...gets(['/api/version', '/api/tags', '/api/ps', '/api/v0/models', '/v1/models', '/props'], { isQuestion: true }),
]

/** A name that stands alone in a path, as `encodeURIComponent` writes it. */
const NAME = "((?:[\\w.~!*'()-]|%[0-9A-Fa-f]{2}){1,300})"

const PATTERNS = TUNNEL_PATHS.map((allowed) => ({
  allowed,
  pattern: new RegExp(`^${allowed.path.replaceAll('/:id', `/${NAME}`)}$`),
}))

/**
 * The one allowed request that this is; undefined where it is none. Paths are compared as they are written: no escape, dot
 * segment or second slash makes one of something else.
 */
export function tunnelPathOf(method: string, target: string): TunnelPath | undefined {
  const at = target.indexOf('?')
  const path = at === -1 ? target : target.slice(0, at)
  for (const { allowed, pattern } of PATTERNS) {
    if (allowed.method !== method) continue
    const found = pattern.exec(path)
    if (found !== null && isPlainName(found[1]) && isKnownQuery(allowed, at === -1 ? '' : target.slice(at + 1)))
      return allowed
  }
  return undefined
}

/** Servers that decode before they look for `..` and `/` must find none. */
function isPlainName(name: string | undefined): boolean {
  const decoded = name === undefined ? 'x' : decode(name)
  return decoded !== undefined && !/^\.{1,2}$|[/\\%\u0000-\u001f\u007f]/.test(decoded)
}

function isKnownQuery({ query = [] }: TunnelPath, search: string): boolean {
  if (search === '') return true
  if (!/^[\x21\x22\x24-\x7e]{1,4096}$/.test(search)) return false
  return search.split('&').every((pair) => query.includes(decode(pair.split('=', 1)[0] ?? '') ?? '?'))
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const TUNNEL_REQUEST_HEADERS: ReadonlySet<string> = new Set([
  ...REQUEST_HEADERS,
  'content-length',
  'content-type',
  'via',
])

/** Whether a header that comes from the hub may go on to the participant's server. */
export function isTunnelRequestHeader(name: string): boolean {
  return TUNNEL_REQUEST_HEADERS.has(name)
}

/** Whether a header of the participant's server may go to the hub: those that would reach the client. */
export function isTunnelResponseHeader(name: string): boolean {
  return RESPONSE_HEADERS.has(name) || RESPONSE_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix))
}
