/**
 * Client headers that go to a participant; everything else stays in the hub: credentials (the client's key is for the
 * hub), cookies, addresses, hop-by-hop headers (RFC 9110 §7.6.1). `accept-encoding` stays too, so that answers come as
 * they are and can be metered.
 */
export const REQUEST_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'accept-language',
  'anthropic-beta',
  'anthropic-version',
  'idempotency-key',
  'openai-beta',
  'user-agent',
  'x-request-id',
])

/**
 * Headers of an answer that reach the client. An allow-list, since a participant may be hostile and the hub's origin is
 * shared with every other room: no cookies, redirects, policies or CORS of its own.
 */
export const RESPONSE_HEADERS: ReadonlySet<string> = new Set([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-type',
  'openai-model',
  'openai-processing-ms',
  'openai-version',
  'request-id',
  'retry-after',
  'retry-after-ms',
  'server-timing',
  'x-request-id',
])

/** Families of headers that reach the client, by prefix: rate limits of a provider, for clients that pace themselves. */
export const RESPONSE_HEADER_PREFIXES: readonly string[] = ['x-ratelimit-', 'anthropic-ratelimit-']

/** The hub's own headers on an inference answer, exposed to browsers. */
export const POTLUCK_HEADERS = {
  participant: 'x-potluck-participant',
  reason: 'x-potluck-reason',
  queueMs: 'x-potluck-queue-ms',
  attempts: 'x-potluck-attempts',
  requestId: 'x-potluck-request-id',
  model: 'x-potluck-model',
  ttftMs: 'x-potluck-ttft-ms',
  inputTokens: 'x-potluck-input-tokens',
  outputTokens: 'x-potluck-output-tokens',
} as const

/** The model of a request whose body the hub does not look into (audio), or not far enough. */
export const MODEL_HEADER = 'x-potluck-model'
