import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Resolver } from '../plugins/ollama-proxy/dispatchers.ts'
import type { Clock } from '../schemas/clock.ts'
import { buildApp } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { loadTls } from './tls.ts'

export type { Clock, Config }
export { ConfigError }

export interface HubOptions extends Partial<Config> {
  /** @default a silent one */
  logger?: FastifyBaseLogger
  /** @default the system's */
  clock?: Clock
  /** Looks up the names of endpoints. @default the system's */
  resolver?: Resolver
}

export interface Hub {
  readonly config: Config
  /** Where the hub is reached from this machine, e.g. `http://127.0.0.1:3000`. @throws before `listen()` */
  readonly url: string
  /** SHA-256 of the certificate, as it is compared by eye; undefined without TLS, and before `listen()`. */
  readonly fingerprint: string | undefined
  /** The Fastify instance; decorators are there once `listen()` or `ready()` has resolved. */
  readonly app: Promise<FastifyInstance>
  /** Starts without listening: for `app.inject`. @throws once it was closed */
  ready(): Promise<void>
  /** @returns the URL @throws where it can't, and once it was closed */
  listen(): Promise<string>
  /**
   * Takes no new requests, ends every event stream, lets running requests finish within `graceMs`, then cuts them off.
   * Calling it again waits for the same end.
   */
  close(): Promise<void>
}

/**
 * A hub in this process: `const hub = createHub({ port: 0 }); await hub.listen(); …; await hub.close()`.
 * @throws ConfigError where an option is not allowed
 */
export function createHub({
  logger = pino({ level: 'silent' }),
  clock = systemClock,
  resolver,
  ...options
}: HubOptions = {}): Hub {
  const config = readConfig({ options })
  const tls = loadTls(config)
  const app = tls.then((files) => {
    const optional = { ...(resolver === undefined ? {} : { resolver }), ...(files === undefined ? {} : { tls: files }) }
    return buildApp({ config, clock, logger, ...optional })
  })
  // Whoever calls `listen` or `ready` is told; a hub that nobody starts must not end the process.
  app.catch(() => {})
  let url: string | undefined
  let fingerprint: string | undefined
  let closed: Promise<void> | undefined
  let started: Promise<unknown> = Promise.resolve()

  /** One that closes meanwhile waits for it. */
  function start<T>(work: (instance: FastifyInstance) => Promise<T>): Promise<T> {
    if (closed !== undefined) return Promise.reject(new Error('The hub was closed, and does not start again'))
    const starting = app.then(work)
    started = Promise.allSettled([started, starting])
    return starting
  }

  return {
    config,
    app,

    get url() {
      if (url === undefined) throw new Error('The hub has no URL before listen()')
      return url
    },

    get fingerprint() {
      return fingerprint
    },

    ready: () => start(async (instance) => void (await instance.ready())),

    listen: () =>
      start(async (instance) => {
        await instance.listen({ host: boundHost(config.host), port: config.port })
        const files = await tls
        fingerprint = files?.fingerprint
        url = localUrl(files === undefined ? 'http' : 'https', instance.server.address() as AddressInfo)
        return url
      }),

    close() {
      closed ??= started.then(() => app).then(shutDown, () => {})
      return closed
    },
  }
}

/** The port is given up at once, so that clients fail over and another hub can take it; what runs goes on within its grace. */
async function shutDown(app: FastifyInstance): Promise<void> {
  const { promise: isQuiet, resolve } = Promise.withResolvers<void>()
  if (app.server.listening) app.server.close(() => resolve())
  else resolve()
  await app.close()
  await isQuiet
}

/** By that name Fastify opens a second server for its other address, and what guards this one would not guard that. */
function boundHost(host: string): string {
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host
}

/** A wildcard address is no address to connect to (some systems refuse it): the loopback one stands for it. */
function localUrl(scheme: string, { address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0') return `${scheme}://127.0.0.1:${port}`
  if (address === '::') return `${scheme}://[::1]:${port}`
  return family === 'IPv6' ? `${scheme}://[${address}]:${port}` : `${scheme}://${address}:${port}`
}
