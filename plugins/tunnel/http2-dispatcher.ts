import type { ClientHttp2Session } from 'node:http2'
import { Dispatcher } from 'undici'
import { Roster } from '../../schemas/roster.ts'
import { Exchange } from './exchange.ts'
import { createResetPace, type ResetPace } from './reset-pace.ts'
import { TunnelError } from './tunnel-error.ts'

/**
 * undici's `Dispatcher` over one HTTP/2 session. undici's own client gives up the whole session, and all requests on it, for
 * one request that it can't send; it closes the session where it is idle, and sets no bounds on a hostile peer.
 */
export class Http2Dispatcher extends Dispatcher {
  readonly #session: ClientHttp2Session
  readonly #running = new Roster<Exchange>()
  readonly #pace: ResetPace

  constructor(session: ClientHttp2Session) {
    super()
    this.#session = session
    this.#pace = createResetPace()
    session.once('close', this.#pace.close)
    session.on('goaway', (_code, lastStreamId) => {
      for (const exchange of this.#running.items()) exchange.refuseBehind(lastStreamId)
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { closed, destroyed } = this.#session
    if (closed || destroyed) return refuse(options, handler)
    const exchange = new Exchange(options, handler)
    this.#pace.whenDue(() => this.#start(exchange))
    return true
  }

  #start(exchange: Exchange): void {
    if (this.#session.closed || this.#session.destroyed) {
      exchange.abort(new TunnelError('PTL_TUNNEL_BROKEN'))
      return
    }
    const place = this.#running.add(exchange)
    exchange.start(this.#session, (wasReset) => {
      this.#running.remove(place)
      if (wasReset) this.#pace.count()
    })
  }
}

/** What a participant's tunnel is while it is not there: every request fails at once, before anything was sent. */
export class NoTunnelDispatcher extends Dispatcher {
  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    return refuse(options, handler)
  }
}

/** Behind the caller, as every other failure to connect. */
function refuse(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): true {
  setImmediate(() => new Exchange(options, handler).abort(new TunnelError('PTL_TUNNEL_GONE')))
  return true
}
