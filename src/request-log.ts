import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from 'pino'
import type { Served } from '../plugins/ollama-proxy/proxy.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set once a participant has answered, or failed to. */
    served?: Served
  }
}

/** Asked every few seconds by machines; at `info` they would hide everything else. */
const ROUTINE = new Set([
  'GET /health',
  'GET /livez',
  'GET /readyz',
  'POST /rooms/:code/health',
  // A running `potluck join` looks how its participant is.
  'GET /rooms/:code/participants/:id',
])

type Level = 'debug' | 'info'

/** One line a request, when its connection is done with it: who asked for what and what became of it, never its content. */
export function logRequests(app: FastifyInstance): void {
  app.decorateRequest('served')
  app.addHook('onRequest', (request, reply, done) => {
    const level = ROUTINE.has(`${request.method} ${request.routeOptions.url}`) ? 'debug' : 'info'
    if (isHeard(app.log, level)) noteEnd(request, reply, level)
    done()
  })
}

/** Of what nobody reads no line is made. */
function isHeard(log: FastifyBaseLogger, level: Level): boolean {
  return (log as Partial<Logger>).isLevelEnabled?.(level) ?? true
}

function noteEnd(request: FastifyRequest, reply: FastifyReply, level: Level): void {
  const write = () => request.log[level](lineOf(request, reply), 'request')
  // `onResponse` would miss those whose client went away, or whose participant broke off. And behind the others who hear of
  // the end, the proxy with its account of the request among them.
  reply.raw.on('close', () => queueMicrotask(write))
}

/** Of what does not apply, nothing is written: loggers leave out what is undefined. */
function lineOf(request: FastifyRequest, reply: FastifyReply): object {
  const { raw } = reply
  const { served } = request
  const outcome = served?.outcome
  const metrics = outcome?.kind === 'complete' ? outcome.metrics : undefined
  return {
    // Not a logger of its own for each request: that costs more than the line.
    reqId: request.id,
    method: request.method,
    // The route, not the URL: a query may hold what is nobody's business, a path whatever somebody typed.
    route: request.routeOptions.url ?? 'unknown',
    // 499 as nginx has it: the client went away before there was an answer.
    status: raw.headersSent ? raw.statusCode : 499,
    cut: raw.headersSent && !raw.writableFinished ? true : undefined,
    durationMs: Math.round(reply.elapsedTime * 100) / 100,
    remote: request.ip,
    room: request.room?.room.code,
    participant: served?.participantId,
    protocol: served?.protocol,
    model: served?.model,
    stream: served?.stream,
    outcome: outcome?.kind,
    queuedMs: served?.queuedMs,
    attempts: served?.attempts,
    ttftMs: metrics?.ttftMs,
    tokens: metrics?.outputTokens,
    reason: outcome !== undefined && 'reason' in outcome ? outcome.reason : undefined,
  }
}
