import type { IncomingMessage } from 'node:http'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import access from '../plugins/access/index.ts'
import eventBus from '../plugins/event-bus/index.ts'
import healthMonitor from '../plugins/health-monitor/index.ts'
import ollamaProxy from '../plugins/ollama-proxy/index.ts'
import roomStore from '../plugins/room-store/index.ts'
import { replyWithError } from '../routes/error-reply.ts'
import events from '../routes/events.ts'
import health from '../routes/health.ts'
import llms from '../routes/llms.ts'
import openapi from '../routes/openapi.ts'
import rooms from '../routes/rooms/index.ts'
import type { Clock } from '../schemas/clock.ts'
import { RouteNotFound } from '../schemas/errors.ts'
import { POTLUCK_HEADERS } from '../schemas/headers.ts'
import { compileValidator } from '../schemas/validation.ts'
import type { Config } from './config.ts'
import { describeApi } from './openapi.ts'
import { createRequestIds } from './request-ids.ts'
import { logRequests } from './request-log.ts'
import { manifest } from './version.ts'

declare module 'fastify' {
  interface FastifyInstance {
    clock: Clock
  }
}

export interface AppDependencies {
  config: Config
  clock: Clock
  logger: FastifyBaseLogger
}

/** A path can hold no code longer than a request line, so every code of any length reaches its 404. */
const MAX_PARAM_LENGTH = 16_384

/** The whole application, one ordered list of registers: the same in tests and in production. */
export async function buildApp({ config, clock, logger }: AppDependencies): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimit,
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    genReqId: createRequestIds(),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
    rewriteUrl: mendEscapes,
    frameworkErrors: (error, request, reply) => void replyWithError(error, request, reply),
  })
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler((error: FastifyError, request, reply) => replyWithError(error, request, reply))
  app.decorate('clock', clock)
  logRequests(app)

  await app.register(cors, {
    methods: ['GET', 'POST', 'PATCH', 'DELETE', 'OPTIONS'],
    exposedHeaders: ['Retry-After', ...Object.values(POTLUCK_HEADERS)],
    strictPreflight: false,
    preflightContinue: true,
  })
  app.addHook('onRequest', answerPreflight)
  app.addHook('onRequest', refuseUnknownRoute)

  // Fastify takes an option of that name for the plugin's own.
  const { logLevel: _, ...settings } = config
  await app.register(eventBus, { ...settings, clock })
  await app.register(roomStore)
  await app.register(access, settings)
  await app.register(ollamaProxy, { ...settings, clock })
  await app.register(healthMonitor, { ...settings, clock })

  await describeApi(app, manifest.version)
  await app.register(openapi)
  await app.register(llms)
  await app.register(health)
  await app.register(events)
  await app.register(rooms, { prefix: '/rooms', inferenceBodyLimit: config.inferenceBodyLimit })
  return app
}

const ALLOWED_HEADERS = 'Content-Type, Authorization'

/** Behind the CORS plugin, which has set the rest: always the two headers that every client sends, and what else is asked for. */
function answerPreflight(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (request.method !== 'OPTIONS') {
    done()
    return
  }
  const asked = request.headers['access-control-request-headers']
  const allowed = asked === undefined ? ALLOWED_HEADERS : `${ALLOWED_HEADERS}, ${asked}`
  reply.code(204).header('access-control-allow-headers', allowed).header('content-length', '0').send()
}

/** Before the body is read: nobody is going to look at it. */
function refuseUnknownRoute(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  done(request.is404 ? new RouteNotFound(`${request.method} ${pathOf(request)}`) : undefined)
}

/** A broken escape names no room and nobody: as plain text it is looked up like any other name, and not found. */
function mendEscapes({ url = '/' }: IncomingMessage): string {
  if (!url.includes('%')) return url
  const [path = '', ...query] = url.split('?')
  try {
    decodeURIComponent(path)
    return url
  } catch {
    return [path.replaceAll('%', '%25'), ...query].join('?')
  }
}

/** Without the query: it is nobody's business in an error. */
function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0]?.slice(0, 200) ?? ''
}
