import { Pool } from 'undici'
import { type HandshakeOptions, openSocket } from './handshake.ts'
import type { TunnelObserver } from './served.ts'
import { type Tunnel, TunnelServer, type TunnelServerOptions } from './server.ts'

export { TunnelConnectError, type TunnelFailure } from './errors.ts'
export type { ServedOutcome, ServedRequest, TunnelObserver } from './served.ts'
export type { Tunnel, TunnelEnd } from './server.ts'

export interface TunnelOptions extends HandshakeOptions, TunnelServerOptions {
  /** The LLM server: all that comes through the tunnel goes there, and nowhere else. */
  readonly endpoint: URL
  /** For the server alone, like a provider's key: added here, never told to the hub. */
  readonly headers?: Readonly<Record<string, string>>
  /** Whether the room may have models fetched and deleted by Ollama's API. @default false */
  readonly manage?: boolean
  readonly observer?: TunnelObserver
  /** Certificates to trust besides the system's for an `https:` endpoint, as PEM. */
  readonly endpointCa?: string | Buffer
}

/** How long the LLM server, which is near, may take to accept a connection. */
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Opens the tunnel of a participant that has joined with `tunnel: true`; resolves once it stands. Aborting the signal
 * closes it at once.
 * @throws TunnelConnectError
 */
export async function connectTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { endpoint, headers = {}, manage = false, observer = {}, endpointCa, signal } = options
  const socket = await openSocket(options)
  const dispatcher = new Pool(endpoint.origin, {
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(endpointCa === undefined ? {} : { ca: endpointCa }) },
    // One that is slow must not hold up the next one.
    pipelining: 1,
    allowH2: false,
  })
  const relay = {
    origin: endpoint.origin,
    basePath: basePathOf(endpoint),
    dispatcher,
    headers: lowerCased(headers),
    manage,
    observer,
  }
  const server = new TunnelServer(socket, relay, options)
  const abort = () => server.close()
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  void server.closed.then(() => {
    signal?.removeEventListener('abort', abort)
    void dispatcher.destroy()
  })
  await server.stands
  return server
}

/** As the hub has it: clients give a base URL with or without `/v1`. */
function basePathOf({ pathname }: URL): string {
  return pathname.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '')
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
