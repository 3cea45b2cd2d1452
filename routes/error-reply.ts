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
    request.log.error({ err: error }, 'the hub failed at a request')
    return { statusCode: 500, code: 'PTL_INTERNAL', message: 'The hub failed at this request; its log says why' }
  }
  return { statusCode, code, message: SENTENCES.get(code)?.(request) ?? error.message }
}

/** Where clients of OpenAI's API look for what they know; also where nothing is served. */
const INFERENCE_PATH = /^\/rooms\/[^/?]+\/v1(?:[/?]|$)/

/** The base shape of every failure, `{"error": "…"}`; on inference paths the one that the path's own clients parse. */
export function replyWithError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure = failureOf(error, request)
  sayWhen(error, reply)
  const isInference = INFERENCE_PATH.test(request.url)
  const body = isInference
    ? request.server.ollamaProxy.protocols.openaiChat.errorBody(failure)
    : { error: failure.message }
  return reply.code(failure.statusCode).send(body)
}

/** RFC 9110 §10.2.3, on failures that are over after a while. */
export function sayWhen(error: FastifyError & { retryAfterS?: number }, reply: FastifyReply): void {
  if (error.retryAfterS !== undefined) reply.header('retry-after', String(error.retryAfterS))
}
