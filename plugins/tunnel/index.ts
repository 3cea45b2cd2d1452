import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type ServerOptions, WebSocketServer } from 'ws'
import type { Clock } from '../../schemas/clock.ts'
import { TooManyTunnels, TunnelNotWebSocket, TunnelVersionUnknown } from '../../schemas/errors.ts'
import { TUNNEL_LIMITS, TUNNEL_PROTOCOL } from '../../schemas/tunnel.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
import { createTunnels, type Tunnels } from './tunnels.ts'

declare module 'fastify' {
  interface FastifyInstance {
    tunnel: Pick<Tunnels, 'targetOf' | 'dispatcherFor' | 'tellClosing' | 'close'> & {
      /** Makes the request, of whoever has proven to be this participant, its tunnel. @throws PTL_TUNNEL_…, PTL_TOO_MANY_TUNNELS */
      open(request: FastifyRequest, reply: FastifyReply, record: ParticipantRecord): void
    }
  }
}

export interface TunnelPluginOptions {
  clock: Clock
  /** How long what runs may go on when a participant leaves. @default 30000 */
  graceMs: number
  /** @default 10000 */
  tunnelPingMs: number
}

/** A request that wants to become another protocol: what Node has handed over with it. */
interface Upgrade {
  readonly socket: Socket
  readonly head: Buffer
}

/** The types lack some of its options. */
const WEB_SOCKETS: ServerOptions & { maxFragments: number; closeTimeout: number } = {
  noServer: true,
  clientTracking: false,
  // It would cost CPU and memory for tokens that are a few bytes each.
  perMessageDeflate: false,
  skipUTF8Validation: true,
  maxPayload: TUNNEL_LIMITS.maxMessageBytes,
  maxFragments: TUNNEL_LIMITS.maxFragments,
  closeTimeout: TUNNEL_LIMITS.closeMs,
  handleProtocols: () => TUNNEL_PROTOCOL,
}

export default fp<TunnelPluginOptions>(
  async (app, { clock, graceMs, tunnelPingMs }) => {
    const upgrades = new WeakMap<IncomingMessage, Upgrade>()
    const tunnels = createTunnels({
      rooms: app.roomStore,
      clock,
      graceMs,
      pingIntervalMs: tunnelPingMs,
      onError: (error) => app.log.error({ err: error }, 'the hub could not keep the account of a tunnel'),
    })
    const webSockets = new WebSocketServer(WEB_SOCKETS)
    app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const response = responseOn(request, socket as Socket)
      if (response === undefined) return
      upgrades.set(request, { socket: socket as Socket, head })
      app.server.emit('request', request, response)
    })
    app.decorate('tunnel', {
      targetOf: tunnels.targetOf,
      dispatcherFor: tunnels.dispatcherFor,
      tellClosing: tunnels.tellClosing,
      close: tunnels.close,
      open(request, reply, record) {
        const upgrade = upgrades.get(request.raw)
        if (upgrade === undefined || !isWebSocket(request)) throw new TunnelNotWebSocket(TUNNEL_PROTOCOL)
        if (!offersProtocol(request)) throw new TunnelVersionUnknown(TUNNEL_PROTOCOL)
        if (!tunnels.hasRoomFor(record)) throw new TooManyTunnels()
        const claim = app.access.claimOf(request)
        reply.hijack()
        handOver(reply.raw, upgrade.socket)
        webSockets.handleUpgrade(request.raw, upgrade.socket, upgrade.head, (webSocket) => {
          void tunnels.open(webSocket, record, claim)
        })
      },
    })
    app.metrics.gauge('potluck_tunnels', 'Participants that are reached through a tunnel', () => tunnels.size)
  },
  { name: 'tunnel', dependencies: ['access', 'metrics', 'room-store'] },
)

/**
 * Until it is another protocol, it is answered as any other request; only that nothing can follow on its connection.
 * @returns undefined where an earlier request of the connection has no answer yet: nobody who means well does that, and the
 * connection is closed
 */
function responseOn(request: IncomingMessage, socket: Socket): ServerResponse | undefined {
  socket.on('error', () => socket.destroy())
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  try {
    response.assignSocket(socket)
  } catch {
    socket.destroy()
    return undefined
  }
  response.once('finish', () => {
    response.detachSocket(socket)
    socket.destroySoon()
    // Node's own server says so of each answer; who counts those that run waits for it.
    process.nextTick(() => response.emit('close'))
  })
  return response
}

/** From here on the connection is not the response's any more, which ends as if 101 had been its whole answer. */
function handOver(response: ServerResponse, socket: Socket): void {
  response.detachSocket(socket)
  response.removeAllListeners('finish')
  Object.defineProperties(response, {
    statusCode: { value: 101 },
    headersSent: { value: true },
    writableFinished: { value: true },
  })
  response.emit('close')
}

/** RFC 6455 §4.2.1; what is missing is told in the catalogue's words, not in those of the library. */
function isWebSocket({ method, headers }: FastifyRequest): boolean {
  return (
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    /^[+/0-9A-Za-z]{22}==$/.test(String(headers['sec-websocket-key']))
  )
}

function offersProtocol({ headers }: FastifyRequest): boolean {
  const offered = String(headers['sec-websocket-protocol'] ?? '').split(',')
  return offered.some((protocol) => protocol.trim() === TUNNEL_PROTOCOL)
}
