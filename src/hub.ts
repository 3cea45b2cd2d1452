import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { pino } from 'pino'
import type { Clock } from '../schemas/clock.ts'
import { buildApp } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, ConfigError, readConfig } from './config.ts'

export type { Clock, Config }
export { ConfigError }

export interface HubOptions extends Partial<Config> {
  /** @default a silent one */
  logger?: FastifyBaseLogger
  /** @default the system's */
  clock?: Clock
}

export interface Hub {
  readonly config: Config
  /** Where the hub is reached from this machine, e.g. `http://127.0.0.1:3000`. @throws before `listen()` */
  readonly url: string
  /** The Fastify instance; decorators are there once `listen()` or `ready()` has resolved. */
  readonly app: Promise<FastifyInstance>
  /** Starts without listening: for `app.inject`. */
  ready(): Promise<void>
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
  ...options
}: HubOptions = {}): Hub {
  const config = readConfig({ options })
  const app = buildApp({ config, clock, logger })
  let url: string | undefined
  let closed: Promise<void> | undefined

  return {
    config,
    app,

    get url() {
      if (url === undefined) throw new Error('The hub has no URL before listen()')
      return url
    },

    async ready() {
      await (await app).ready()
    },

    async listen() {
      const instance = await app
      await instance.listen({ host: config.host, port: config.port })
      url = localUrl(instance.server.address() as AddressInfo)
      return url
    },

    close() {
      closed ??= app.then(shutDown)
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

/** A wildcard address is no address to connect to (some systems refuse it): the loopback one stands for it. */
function localUrl({ address, family, port }: AddressInfo): string {
  if (address === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (address === '::') return `http://[::1]:${port}`
  return family === 'IPv6' ? `http://[${address}]:${port}` : `http://${address}:${port}`
}
