import { performServerHandshake, type ServerHttp2Session } from 'node:http2'
import { performance } from 'node:perf_hooks'
import type { WebSocket } from 'ws'
import { HUB_SILENCE_MS, TUNNEL_CHANGED, TUNNEL_CLOSE, TUNNEL_CLOSING, TUNNEL_LIMITS } from '../../../schemas/tunnel.ts'
import { WebSocketStream } from '../../../schemas/tunnel-stream.ts'
import { TunnelConnectError } from './errors.ts'
import { Relay, type RelayOptions } from './relay.ts'

/** How a tunnel ended. */
export interface TunnelEnd {
  /** Of `TUNNEL_CLOSE`, or RFC 6455 §7.4.1's: 1006 for a connection that broke. */
  readonly code: number
  readonly reason: string
}

export interface TunnelTimes {
  /** How long the hub may take until it speaks HTTP/2, ms. @default 10000 */
  readonly handshakeMs?: number
  /** Silence after which the hub is given up, ms. @default 25000 */
  readonly silenceMs?: number
}

export interface TunnelServerOptions extends TunnelTimes {
  /** Somebody changed the participant: the hub has what it is now. */
  readonly onChanged?: () => void
}

export interface Tunnel {
  /** Resolves when it has ended, for whatever reason; never rejects. */
  readonly closed: Promise<TunnelEnd>
  /** Requests that run now, the hub's own questions included. */
  readonly inFlight: number
  /** The hub has said that it shuts down; the tunnel stands until all that runs there has ended. */
  readonly isHubClosing: boolean
  /** Takes nothing new, lets what runs finish, and closes. */
  drain(): Promise<void>
  /** At once: what runs is broken off. */
  close(): void
}

/** How often it is looked whether the hub is still there. */
const LOOK_MS = 2500

/** After a sleep the hub is asked for a sign of life, and has so long. */
const AWAKE_MS = 5000

/** Frames that break the rules, and requests beyond the limit, until it is no hub that is there. */
const MAX_FAULTS = 100

/** MB: what waits to be sent on all streams, with the windows of the hub full. */
const SESSION_MEMORY_MB = 64

/** The participant's end of a tunnel: an HTTP/2 server whose one client is the hub. */
export class TunnelServer implements Tunnel {
  readonly closed: Promise<TunnelEnd>
  /** Resolves once the hub speaks HTTP/2. @throws TunnelConnectError */
  readonly stands: Promise<void>
  readonly #socket: WebSocket
  readonly #session: ServerHttp2Session
  readonly #looks: NodeJS.Timeout
  readonly #end: (end: TunnelEnd) => void
  readonly #silenceMs: number
  #inFlight = 0
  #heardAt = performance.now()
  #lookedAt = Date.now()
  #isClosed = false
  #isHubClosing = false

  constructor(socket: WebSocket, relay: RelayOptions, options: TunnelServerOptions = {}) {
    const { handshakeMs = TUNNEL_LIMITS.handshakeMs, silenceMs = HUB_SILENCE_MS, onChanged } = options
    this.#silenceMs = silenceMs
    const ended = Promise.withResolvers<TunnelEnd>()
    this.closed = ended.promise
    this.#end = ended.resolve
    this.#socket = socket
    const stream = new WebSocketStream(socket, () => this.#shut(TUNNEL_CLOSE.noTunnel, STRANGE))
    this.#session = acceptSession(stream)
    this.#looks = setInterval(() => this.#look(), Math.min(LOOK_MS, silenceMs / 4))
    this.stands = this.#waitForHub(handshakeMs)
    this.#listen(relay, onChanged)
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get isHubClosing(): boolean {
    return this.#isHubClosing
  }

  #waitForHub(handshakeMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => this.#shut(TUNNEL_CLOSE.noTunnel, STRANGE), handshakeMs)
    this.#session.once('remoteSettings', () => {
      clearTimeout(timer)
      this.#session.setLocalWindowSize(TUNNEL_LIMITS.connectionWindowBytes)
      resolve()
    })
    void this.closed.then(({ code, reason }) => {
      clearTimeout(timer)
      // A handshake that passes, and nothing behind it, is what some proxies let through.
      const kind = code === TUNNEL_CLOSE.noTunnel ? 'blocked' : 'refused'
      reject(new TunnelConnectError(kind, reason, { code: String(code) }))
    })
    return promise
  }

  #listen(relay: RelayOptions, onChanged?: () => void): void {
    const session = this.#session
    session.on('stream', (stream, headers, flags) => {
      // It may have ended before it is told of, and fails then like any other.
      stream.on('error', () => {})
      if (stream.destroyed) return
      this.#inFlight += 1
      stream.once('close', () => {
        this.#inFlight -= 1
      })
      Relay.start(stream, headers, flags, relay)
    })
    session.on('error', () => this.#shut(TUNNEL_CLOSE.noTunnel, STRANGE))
    let isTold = false
    session.on('goaway', () => {
      isTold = true
    })
    session.on('close', () => {
      const shut = () => this.#shut(TUNNEL_CLOSE.done, 'Closed from here')
      // A hub that wants nothing more says why, once what ran has ended.
      if (isTold) setTimeout(shut, TUNNEL_LIMITS.closeMs).unref()
      else shut()
    })
    const socket = this.#socket
    const hear = () => {
      this.#heardAt = performance.now()
    }
    socket.on('message', hear)
    socket.on('ping', (payload) => {
      hear()
      if (String(payload) === TUNNEL_CHANGED) onChanged?.()
      if (String(payload) === TUNNEL_CLOSING) this.#isHubClosing = true
    })
    socket.on('pong', hear)
    // What went wrong is in the close that follows.
    socket.on('error', () => {})
    socket.on('close', (code, reason) => this.#onSocketClose(code, String(reason)))
  }

  #onSocketClose(code: number, reason: string): void {
    this.#isClosed = true
    clearInterval(this.#looks)
    this.#session.destroy()
    this.#end({ code, reason: reason === '' ? (REASONS.get(code) ?? 'The tunnel was closed') : reason })
  }

  /** The monotonic clock may stand still while the machine sleeps, the other one does not. */
  #look(): void {
    const now = Date.now()
    const hasSlept = now - this.#lookedAt > LOOK_MS + AWAKE_MS
    this.#lookedAt = now
    if (hasSlept) {
      this.#heardAt = Math.min(this.#heardAt, performance.now() - this.#silenceMs + AWAKE_MS)
      this.#socket.ping()
    } else if (performance.now() - this.#heardAt > this.#silenceMs) {
      this.#shut(TUNNEL_CLOSE.silent, 'Nothing was heard of the hub')
      this.#onSocketClose(TUNNEL_CLOSE.silent, 'Nothing was heard of the hub')
    }
  }

  #shut(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // First the farewell, since with the session the stream goes.
    this.#socket.close(code, reason)
    this.#session.destroy()
  }

  async drain(): Promise<void> {
    this.#session.close()
    await this.closed
  }

  close(): void {
    this.#shut(TUNNEL_CLOSE.done, 'Closed from here')
  }
}

const STRANGE = 'What came on the tunnel was no HTTP/2'

const REASONS: ReadonlyMap<number, string> = new Map([
  [1006, 'The connection to the hub broke'],
  [1009, 'The hub sent a message beyond the limit'],
])

function acceptSession(stream: WebSocketStream): ServerHttp2Session {
  const { streams, requestWindowBytes, headerListBytes, headerFields, settings, floodOfResets } = TUNNEL_LIMITS
  return performServerHandshake(stream, {
    maxHeaderListPairs: headerFields,
    maxSettings: settings,
    maxSessionMemory: SESSION_MEMORY_MB,
    maxSessionInvalidFrames: MAX_FAULTS,
    maxSessionRejectedStreams: MAX_FAULTS,
    streamResetBurst: floodOfResets.burst,
    streamResetRate: floodOfResets.perSecond,
    settings: {
      initialWindowSize: requestWindowBytes,
      maxConcurrentStreams: streams,
      maxHeaderListSize: headerListBytes,
      enableConnectProtocol: false,
    },
  })
}
