/** undici's and Node's error codes, as sentences that a person can act on. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'Connection refused'],
  ['ECONNRESET', 'Connection reset'],
  ['EPIPE', 'Connection reset'],
  ['EHOSTUNREACH', 'Host unreachable'],
  ['ENETUNREACH', 'Network unreachable'],
  ['ETIMEDOUT', 'Connection timed out'],
  ['ENOTFOUND', 'Host name not found'],
  ['EAI_AGAIN', 'Host name could not be looked up'],
  ['PTL_FORBIDDEN_ADDRESS', 'Its endpoint leads to an address that the hub does not connect to'],
  ['PTL_TUNNEL_GONE', 'Its tunnel is not open'],
  ['PTL_TUNNEL_BROKEN', 'Its tunnel broke'],
  ['PTL_TUNNEL_REFUSED', 'The other end of its tunnel refused the request'],
  ['UND_ERR_CONNECT_TIMEOUT', 'Connection timed out'],
  ['UND_ERR_HEADERS_TIMEOUT', 'No answer in time'],
  ['UND_ERR_BODY_TIMEOUT', 'The answer stopped coming'],
  ['UND_ERR_HEADERS_OVERFLOW', 'The answer has too many headers'],
  ['UND_ERR_SOCKET', 'Connection closed'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'The answer is shorter or longer than it says'],
])

/** @returns one short sentence, never what the other side wrote: that may hold a prompt. */
export function reasonOf(error: Error): string {
  if (error instanceof RefusedAnswer) return error.message
  const code = codeOf(error)
  if (error.name === 'TimeoutError') return 'No answer in time'
  if (error.name === 'HTTPParserError') return 'The answer is not HTTP'
  if (code === undefined) return 'The connection failed'
  if (code.startsWith('HPE_')) return 'The answer is not HTTP'
  return REASONS.get(code) ?? `The connection failed (${code})`
}

function codeOf(error: Error): string | undefined {
  const { code, cause } = error as Error & { code?: unknown }
  if (typeof code === 'string' && code !== 'UND_ERR_SOCKET') return code
  if (cause instanceof Error) return codeOf(cause) ?? (code as string | undefined)
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0])
  return typeof code === 'string' ? code : undefined
}

/** The participant answered with something that must not reach the client. */
export class RefusedAnswer extends Error {}
