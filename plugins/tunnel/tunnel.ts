import { type ClientHttp2Session, connect } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { WebSocket } from 'ws'
import { PING_INTERVAL_MS, TUNNEL_CHANGED, TUNNEL_CLOSE, TUNNEL_CLOSING, TUNNEL_LIMITS } from '../../schemas/tunnel.ts'
import { WebSocketStream } from '../../schemas/tunnel-stream.ts'
import { Http2Dispatcher } from './http2-dispatcher.ts'
import { TunnelError } from './tunnel-error.ts'

export interface TunnelOptions {
  socket: WebSocket
  /** Called once, when the other end speaks HTTP/2. */
  onUp(): void
  /** The other end was heard of. */
  onBeat(): void
  /** Called once: from now on it takes no requests. @param reason a sentence for everybody in the room */
  onDown(reason: string): void
  /** Called once, when it is closed on this side. */
  onClosed(): void
  /** @default 10000 */
  pingIntervalMs?: number
  /** How long the other end may take until it speaks HTTP/2. @default 10000 */
  handshakeMs?: number
}

/** Frames between two pings that have no place on a tunnel in such number: a flood costs the hub more than its sender. */
const MAX_ODD_FRAMES = 100

/** One participant's tunnel, at the hub's end: its HTTP/2 client is the dispatcher. */
export class Tunnel {
  readonly dispatcher: Dispatcher
  readonly #options: TunnelOptions
  readonly #socket: WebSocket
  readonly #session: ClientHttp2Session
  readonly #pings: NodeJS.Timeout
  readonly #handshake: NodeJS.Timeout
  #isUp = false
  #isDown = false
  #isClosed = false
  #wasHeard = true
  #oddFrames = 0
  #change: 'known' | 'told' | 'told too early' = 'known'

  constructor(options: TunnelOptions) {
    const { socket, pingIntervalMs = PING_INTERVAL_MS, handshakeMs = TUNNEL_LIMITS.handshakeMs } = options
    this.#options = options
    this.#socket = socket
    const stream = new WebSocketStream(socket, () => this.#strange())
    this.#session = openSession(stream)
    this.dispatcher = new Http2Dispatcher(this.#session)
    this.#pings = setInterval(() => this.#ping(), pingIntervalMs).unref()
    this.#handshake = setTimeout(() => this.#strange(), handshakeMs).unref()
    this.#listen()
  }

  /** It takes requests. */
  get isUp(): boolean {
    return this.#isUp && !this.#isDown
  }

  #listen(): void {
    const session = this.#session
    session.on('remoteSettings', () => this.#onSettings())
    session.on('goaway', (code) => this.#onGoAway(code))
    session.on('ping', () => this.#countOdd())
    session.on('error', () => this.#strange())
    session.on('close', () => this.close(TUNNEL_CLOSE.done, 'Its tunnel was closed'))
    const socket = this.#socket
    socket.on('message', () => {
      this.#wasHeard = true
    })
    socket.on('ping', () => this.#countOdd())
    socket.on('pong', (payload) => this.#onPong(String(payload)))
    // What went wrong is in the close that follows.
    socket.on('error', () => {})
    socket.on('close', (code) => this.close(TUNNEL_CLOSE.done, code === ABNORMAL ? BROKE : 'It closed its tunnel'))
  }

  #onSettings(): void {
    this.#countOdd()
    if (this.#isUp || this.#isDown) return
    this.#isUp = true
    clearTimeout(this.#handshake)
    this.#session.setLocalWindowSize(TUNNEL_LIMITS.connectionWindowBytes)
    this.#options.onUp()
  }

  /** RFC 9113 §6.8: with no error it only wants nothing new, and what runs goes on. */
  #onGoAway(code: number): void {
    if (code === 0) this.#goDown('It is stopping')
  }

  #onPong(payload: string): void {
    this.#wasHeard = true
    this.#countOdd()
    if (!this.isUp) return
    this.#options.onBeat()
    if (payload !== TUNNEL_CHANGED) return
    const isStale = this.#change === 'told too early'
    this.#change = 'known'
    if (isStale) this.tellChange()
  }

  /** Somebody changed the participant, which shall see it at once. However often that is, one such ping is on its way. */
  tellChange(): void {
    if (!this.isUp) return
    if (this.#change !== 'known') {
      this.#change = 'told too early'
      return
    }
    this.#change = 'told'
    // The pong that it brings was asked for.
    this.#oddFrames -= 1
    this.#socket.ping(TUNNEL_CHANGED)
  }

  /** The hub shuts down, and takes no calls any more; what comes through the tunnel it still takes. */
  tellClosing(): void {
    if (!this.isUp) return
    this.#oddFrames -= 1
    this.#socket.ping(TUNNEL_CLOSING)
  }

  #ping(): void {
    this.#oddFrames = 0
    if (!this.#wasHeard) {
      this.close(TUNNEL_CLOSE.silent, 'Nothing was heard on its tunnel')
      return
    }
    this.#wasHeard = false
    this.#socket.ping()
  }

  #countOdd(): void {
    this.#oddFrames += 1
    if (this.#oddFrames > MAX_ODD_FRAMES) this.#strange()
  }

  #strange(): void {
    this.close(TUNNEL_CLOSE.noTunnel, 'What came on its tunnel was no HTTP/2')
  }

  #goDown(reason: string): void {
    if (this.#isDown) return
    this.#isDown = true
    this.#options.onDown(reason)
  }

  /** At once: what runs on it fails. */
  close(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#pings)
    clearTimeout(this.#handshake)
    this.#goDown(reason)
    // First the farewell, since with the session the stream goes.
    this.#socket.close(code, reason)
    // With an error, or what runs would end as if it were whole.
    this.#session.destroy(new TunnelError('PTL_TUNNEL_BROKEN'))
    this.#options.onClosed()
  }

  /** Takes nothing new, lets what runs finish, and closes; after `graceMs` in any case. */
  drain(code: number, reason: string, graceMs: number): void {
    this.#goDown(reason)
    const close = () => this.close(code, reason)
    const timer = setTimeout(close, graceMs).unref()
    this.#session.prependOnceListener('close', () => {
      clearTimeout(timer)
      close()
    })
    this.#session.close()
  }
}

/** RFC 6455 §7.4.1: closed without a farewell. */
const ABNORMAL = 1006
const BROKE = 'Its tunnel broke'

function openSession(stream: WebSocketStream): ClientHttp2Session {
  const { streams, answerWindowBytes, headerListBytes, headerFields, settings } = TUNNEL_LIMITS
  return connect('http://tunnel.invalid', {
    createConnection: () => stream,
    peerMaxConcurrentStreams: streams,
    maxReservedRemoteStreams: 0,
    maxHeaderListPairs: headerFields,
    maxSettings: settings,
    settings: { enablePush: false, initialWindowSize: answerWindowBytes, maxHeaderListSize: headerListBytes },
  })
}
