import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'

export interface Failure {
  statusCode: number
  /** Of the error catalogue, or Fastify's own `FST_…`. */
  code: string
  message: string
}

/** Fastify's own errors, in words that say what to do. */
const SENTENCES: ReadonlyMap<string, (request: FastifyRequest) => string> = new Map<
  string,
  (request: FastifyRequest) => string
>([
  ['FST_ERR_CTP_BODY_TOO_LARGE', (request) => `The body is larger than ${request.routeOptions.bodyLimit} bytes`],
  ['FST_ERR_CTP_INVALID_JSON_BODY', () => 'The body is not valid JSON'],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', () => 'The body is shorter or longer than its Content-Length says'],
])

/** What a client may be told. A fault of the hub itself is logged, and told without its details. */
export function failureOf(error: FastifyError, request: FastifyRequest): Failure {
  const { statusCode = 500, code = 'PTL_INTERNAL' } = error
  const isOurs = code.startsWith('PTL_') && error.statusCode !== undefined
  if (statusCode >= 500 && !isOurs) {
    request.log.error({ reqId: request.id, err: error }, 'the hub failed at a request')
    return { statusCode: 500, code: 'PTL_INTERNAL', message: 'The hub failed at this request; its log says why' }
  }
  return { statusCode, code, message: SENTENCES.get(code)?.(request) ?? error.message }
}

/** The base shape of every failure, `{"error": "…"}`; on inference paths the one that the path's own clients parse. */
export function replyWithError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure = failureOf(error, request)
  sayWhen(error, reply)
  const protocol = request.server.ollamaProxy.protocolFor(request.url, request.headers)
  return reply.code(failure.statusCode).send(protocol?.errorBody(failure) ?? { error: failure.message })
}

/** RFC 9110 §10.2.3, on failures that are over after a while. */
export function sayWhen(error: FastifyError & { retryAfterS?: number }, reply: FastifyReply): void {
  if (error.retryAfterS !== undefined) reply.header('retry-after', String(error.retryAfterS))
}
