import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import cors from '@fastify/cors'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import access from '../plugins/access/index.ts'
import eventBus from '../plugins/event-bus/index.ts'
import healthMonitor from '../plugins/health-monitor/index.ts'
import metrics from '../plugins/metrics/index.ts'
import type { Resolver } from '../plugins/ollama-proxy/dispatchers.ts'
import ollamaProxy from '../plugins/ollama-proxy/index.ts'
import roomStore from '../plugins/room-store/index.ts'
import tunnel from '../plugins/tunnel/index.ts'
import { replyWithError } from '../routes/error-reply.ts'
import events from '../routes/events.ts'
import health from '../routes/health.ts'
import llms from '../routes/llms.ts'
import metricsPage from '../routes/metrics.ts'
import openapi from '../routes/openapi.ts'
import rooms from '../routes/rooms/index.ts'
import root from '../routes/root.ts'
import type { Clock } from '../schemas/clock.ts'
import { RouteNotFound, UpgradeRefused } from '../schemas/errors.ts'
import { POTLUCK_HEADERS } from '../schemas/headers.ts'
import { Roster } from '../schemas/roster.ts'
import { compileValidator } from '../schemas/validation.ts'
import type { Config } from './config.ts'
import { describeApi } from './openapi.ts'
import { createRequestIds } from './request-ids.ts'
import { logRequests } from './request-log.ts'
import { addSecurityHeaders } from './security-headers.ts'
import type { TlsFiles } from './tls.ts'
import { manifest } from './version.ts'

declare module 'fastify' {
  interface FastifyInstance {
    clock: Clock
    isClosing(): boolean
  }
}

export interface AppDependencies {
  config: Config
  clock: Clock
  logger: FastifyBaseLogger
  /** Looks up the names of endpoints. @default the system's */
  resolver?: Resolver
  /** Absent: plain HTTP. */
  tls?: TlsFiles
}

/** A path can hold no code longer than a request line, so every code of any length reaches its 404. */
const MAX_PARAM_LENGTH = 16_384

/** The whole application, one ordered list of registers: the same in tests and in production. */
export async function buildApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const { config, clock, logger, resolver, tls } = dependencies
  const options: FastifyServerOptions = {
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.bodyLimit,
    requestTimeout: config.requestTimeoutMs,
    // Of a connection on which nothing moves, which `cutStalled` then looks at.
    connectionTimeout: config.stallTimeoutMs,
    childLoggerFactory: (parent) => parent,
    // It holds for the closing hooks, too, which wait for what runs: they have a limit of their own.
    pluginTimeout: 0,
    // The routes say for themselves what they do while the hub closes: a heartbeat is never answered 503.
    return503OnClosing: false,
    clientErrorHandler: refuseNoise,
    trustProxy: config.trustedProxies.length > 0 ? [...config.trustedProxies] : false,
    genReqId: createRequestIds(),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH, ignoreTrailingSlash: true },
    rewriteUrl: mendEscapes,
    frameworkErrors: (error, request, reply) => void replyWithError(error, request, reply),
  }
  const limits = { ...limitsOf(config.requestTimeoutMs), shouldUpgradeCallback: isForTunnel }
  // With TLS it is another kind of server, with the same requests and replies.
  const secure = tls === undefined ? { http: limits } : { https: { ...limits, cert: tls.cert, key: tls.key } }
  const app = Fastify({ ...options, ...secure } as FastifyServerOptions)
  app.server.on('timeout', cutStalled)
  app.setValidatorCompiler(compileValidator)
  app.setErrorHandler((error: FastifyError, request, reply) => replyWithError(error, request, reply))
  app.decorate('clock', clock)
  logRequests(app)
  const answering = watchAnswers(app)
  let closingSince = Number.POSITIVE_INFINITY
  // The first of the closing hooks: those that follow take their time.
  app.addHook('preClose', async () => {
    closingSince = clock.elapsed()
    app.tunnel.tellClosing()
  })
  app.decorate('isClosing', () => closingSince < Number.POSITIVE_INFINITY)

  addSecurityHeaders(app, { isTrusted: tls !== undefined && !tls.isSelfSigned })
  await app.register(cors, {
    origin: config.corsOrigins === '*' ? '*' : config.corsOrigins.split(','),
    methods: ['GET', 'POST', 'PATCH', 'DELETE', 'OPTIONS'],
    exposedHeaders: ['Retry-After', ...Object.values(POTLUCK_HEADERS)],
    strictPreflight: false,
    preflightContinue: true,
  })
  app.addHook('onRequest', answerPreflight)
  app.addHook('onRequest', (request, _reply, done) => {
    if (!request.is404) done()
    else refuseUnknownRoute(request).catch(done)
  })

  // Fastify takes an option of that name for the plugin's own.
  const { logLevel: _, ...settings } = config
  await app.register(eventBus, { ...settings, clock })
  await app.register(roomStore)
  await app.register(access, { ...settings, clock, isSecure: tls !== undefined })
  await app.register(metrics, { version: manifest.version })
  await app.register(tunnel, { ...settings, clock })
  await app.register(ollamaProxy, { ...settings, clock, ...(resolver === undefined ? {} : { resolver }) })
  // Behind the drain of what runs through them.
  app.addHook('preClose', async () => app.tunnel.close())
  await app.register(healthMonitor, { ...settings, clock, isClosing: app.isClosing })

  await describeApi(app, manifest.version)
  await app.register(openapi)
  await app.register(llms)
  await app.register(health)
  await app.register(metricsPage)
  await app.register(events)
  app.decorateRequest('room')
  app.decorateRequest('sentContentType')
  app.decorateRequest('hold')
  await app.register(rooms, { prefix: '/rooms', inferenceBodyLimit: config.inferenceBodyLimit })
  await app.register(root, { inferenceBodyLimit: config.inferenceBodyLimit })
  app.addHook('preClose', async () => {
    while (answering() > 0 && clock.elapsed() < closingSince + config.graceMs) await sleep(FLUSH_POLL_MS)
    await cutOff(app)
  })
  return app
}

/** How often it is looked whether the last answer has gone out. */
const FLUSH_POLL_MS = 20

/** @returns how many requests have no whole answer yet: a slow reader may take its time, within the grace period */
function watchAnswers({ server }: FastifyInstance): () => number {
  const answers = new Roster<ServerResponse>()
  server.on('request', (_request, response) => {
    const place = answers.add(response)
    response.on('close', () => {
      answers.remove(place)
      cutInTurn(response)
    })
  })
  // Node takes a connection for idle as soon as its answer has been ended, sent or not, and would cut it off.
  const closeIdle = server.closeIdleConnections.bind(server)
  server.closeIdleConnections = () => {
    for (const { writableEnded, writableFinished } of answers.items()) if (writableEnded && !writableFinished) return
    closeIdle()
  }
  return () => answers.size
}

/** How long what was written last may take to go out. */
const FLUSH_MS = 100

/**
 * The last of the closing hooks, behind the grace of what runs: whoever still holds a connection is cut off. One that never
 * asked anything, that never ends its request or does not read its answer would keep the process for as long as it likes.
 */
async function cutOff(app: FastifyInstance): Promise<void> {
  app.server.closeIdleConnections()
  await sleep(FLUSH_MS)
  app.server.closeAllConnections()
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

/** Below a protected room nobody learns what is served there. */
const BELOW_ROOM = /^(?:https?:\/\/[^/]+)?\/rooms\/([^/?]+)\/./i

/** Before the body is read: nobody is going to look at it. */
async function refuseUnknownRoute(request: FastifyRequest): Promise<void> {
  const code = BELOW_ROOM.exec(request.url)?.[1]
  const room = code === undefined ? undefined : await request.server.roomStore.findRoom(decodeURIComponent(code))
  if (room !== undefined) {
    request.room = room
    await request.server.access.enter(request, 'unknown')
  }
  // Some clients try a WebSocket first, and go on at once where they are told that there is none (RFC 9110 §15.5.22).
  if (request.headers.upgrade !== undefined && request.server.ollamaProxy.protocolFor(request.url, request.headers))
    throw new UpgradeRefused()
  throw new RouteNotFound(`${request.method} ${pathOf(request)}`)
}

/** All else that wants to be another protocol is answered as it is (RFC 9110 §7.8). */
function isForTunnel({ url = '' }: IncomingMessage): boolean {
  return TUNNEL_ROUTE.test(url)
}

const TUNNEL_ROUTE = /^(?:https?:\/\/[^/]+)?\/rooms\/[^/?]+\/tunnel\/?(?:\?|$)/i

/** Both are Node's defaults: how long the headers may take, and how often it looks for requests that take too long. */
const HEADERS_MS = 60_000
const SWEEP_MS = 30_000

/** No request overruns its limit by more than a quarter. Node exchanges the two where the one for headers is the longer one. */
function limitsOf(requestTimeoutMs: number) {
  const headersTimeout = Math.min(HEADERS_MS, requestTimeoutMs)
  return {
    headersTimeout,
    // Of TLS, before there is anything else to wait for.
    handshakeTimeout: headersTimeout,
    connectionsCheckingInterval: Math.min(SWEEP_MS, Math.ceil(requestTimeoutMs / 4)),
  }
}

/** Node keeps it on the socket: undefined before the first request, null between two. */
function answerOn(socket: Socket): ServerResponse | null | undefined {
  return (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage
}

/**
 * Node waits for ever for who asks and then does not read. Nothing has moved on the connection for a while: who waits for an
 * answer may wait on, anybody else is cut off.
 */
function cutStalled(socket: Socket): void {
  if (socket.writableLength > 0 || answerOn(socket) === null) socket.destroy()
}

/**
 * An answer that was given up while it waited for its turn, behind others on the same connection: when that comes, Node
 * would send what was written of it and wait for the rest for ever.
 */
function cutInTurn(answer: ServerResponse): void {
  if (!answer.writableFinished) answer.once('socket', (socket) => socket.destroy())
}

/** By Node's error codes; whatever else is no HTTP is 400. */
const NOISE: ReadonlyMap<string | undefined, string> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Payload Too Large'],
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
])

/** RFC 9112 §9.6: who is cut off while it still sends may lose the answer, so it gets so long to read that and to close. */
const LINGER_MS = 1000

/** What is no HTTP gets an answer, unless one is under way: there it would stand in the midst of it. */
function refuseNoise({ code }: NodeJS.ErrnoException, socket: Socket): void {
  // It goes on making noise while it lingers.
  if (socket.writableEnded && !socket.destroyed) return
  if (!socket.writable || answerOn(socket)?.headersSent === true) {
    socket.destroy()
    return
  }
  const status = NOISE.get(code) ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
  // A client that never closes its side would hold the socket for ever.
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
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
