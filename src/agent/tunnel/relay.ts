import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Dispatcher } from 'undici'
import {
  isTunnelRequestHeader,
  isTunnelResponseHeader,
  TUNNEL_ERROR_HEADER,
  tunnelPathOf,
} from '../../../schemas/tunnel.ts'
import { ServedRequest, type TunnelObserver } from './served.ts'

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR } = constants

export interface RelayOptions {
  /** The server's, without a `/` at its end. */
  readonly origin: string
  readonly basePath: string
  readonly dispatcher: Dispatcher
  /** The owner's own, in lower case: they win over the hub's. */
  readonly headers: Readonly<Record<string, string>>
  /** Whether the hub may have models fetched and deleted. */
  readonly manage: boolean
  readonly observer: TunnelObserver
}

type ResponseHeaders = Record<string, string | string[] | undefined>

/** Brings one request of the hub to the server that the tunnel is for, and the answer back. */
export class Relay implements Dispatcher.DispatchHandler {
  readonly #stream: ServerHttp2Stream
  readonly #served: ServedRequest
  readonly #observer: TunnelObserver
  #controller: Dispatcher.DispatchController | undefined
  #trailers: Record<string, string | string[] | undefined> = {}
  #isOver = false

  private constructor(stream: ServerHttp2Stream, served: ServedRequest, observer: TunnelObserver) {
    this.#stream = stream
    this.#served = served
    this.#observer = observer
  }

  static start(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, options: RelayOptions): void {
    // Node tells of a stream a tick late: it may have been taken back meanwhile.
    if (isGone(stream)) return
    const method = String(headers[':method'])
    const target = String(headers[':path'])
    const allowed = tunnelPathOf(method, target)
    const relay = new Relay(stream, new ServedRequest(method, allowed), options.observer)
    relay.#listen()
    if (allowed === undefined) relay.#refuse(404, 'Nothing of that kind goes through this tunnel')
    else if (allowed.manages === true && !options.manage) relay.#refuse(403, 'Its owner lets nobody change its models')
    else relay.#send(method, target, headers, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, options)
  }

  #listen(): void {
    const stream = this.#stream
    this.#observer.onStart?.(this.#served)
    stream.on('wantTrailers', () => this.#sendTrailers())
    stream.on('close', () => this.#end('cancelled'))
  }

  #sendTrailers(): void {
    if (isGone(this.#stream)) return
    try {
      this.#stream.sendTrailers(this.#trailers)
    } catch {
      // Whatever the server wrote there: nothing of it ends more than this request.
      this.#stream.close(NGHTTP2_INTERNAL_ERROR)
    }
  }

  #refuse(status: number, error: string): void {
    this.#served.begin(status, 'application/json')
    this.#stream.respond({ ':status': status, 'content-type': 'application/json' })
    this.#stream.end(JSON.stringify({ error }))
    this.#stream.resume()
    this.#end('refused')
  }

  #send(method: string, target: string, headers: IncomingHttpHeaders, isEmpty: boolean, options: RelayOptions): void {
    const { origin, basePath, dispatcher } = options
    const body = isEmpty ? null : this.#piecesOfBody()
    dispatcher.dispatch(
      {
        origin,
        path: `${basePath}${target}`,
        method: method as Dispatcher.HttpMethod,
        headers: { ...requestHeaders(headers), ...options.headers },
        // undici takes what can be iterated, its types name streams alone.
        body: body as unknown as Buffer | null,
        // How long an answer may take is the hub's to say, which cancels what takes too long.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      this,
    )
  }

  /** The stream itself must outlive the body: the answer goes out on it. */
  async *#piecesOfBody(): AsyncGenerator<Buffer> {
    for await (const chunk of this.#stream.iterator({ destroyOnReturn: false })) {
      this.#served.requestBytes += (chunk as Buffer).length
      yield chunk as Buffer
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error('The hub wants no answer any more'))
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: ResponseHeaders): void {
    const stream = this.#stream
    if (this.#isOver || isGone(stream)) return
    if (statusCode < 200) {
      // RFC 9113 §8.6: there is no 101.
      if (statusCode > 101) stream.additionalHeaders({ ':status': statusCode })
      return
    }
    if (String(headers['transfer-encoding'] ?? 'chunked').toLowerCase() !== 'chunked') {
      controller.abort(new Error('It answered in a transfer coding that nobody asked for'))
      return
    }
    this.#served.begin(statusCode, String(headers['content-type'] ?? ''))
    stream.respond({ ...responseHeaders(headers), ':status': statusCode }, { waitForTrailers: true })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    this.#served.see(chunk)
    if (this.#stream.write(chunk)) return
    controller.pause()
    this.#stream.once('drain', () => controller.resume())
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: ResponseHeaders): void {
    if (this.#isOver) return
    this.#trailers = responseHeaders(trailers)
    this.#stream.end()
    // Of a request that was answered early the rest is let go by.
    this.#stream.resume()
    this.#end('done')
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#isOver) return
    this.#end('failed')
    const stream = this.#stream
    if (isGone(stream)) return
    if (stream.headersSent) stream.close(NGHTTP2_INTERNAL_ERROR)
    else stream.respond({ ':status': 502, [TUNNEL_ERROR_HEADER]: codeOf(error) }, { endStream: true })
    stream.resume()
  }

  /** The server's own connection goes with the request: whatever it generates, nobody waits for it. */
  #end(outcome: 'done' | 'cancelled' | 'failed' | 'refused'): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#served.end(outcome)
    if (outcome === 'cancelled') this.#controller?.abort(new Error('The hub wants no answer any more'))
    this.#observer.onEnd?.(this.#served)
  }
}

function isGone({ destroyed, closed }: ServerHttp2Stream): boolean {
  return destroyed || closed
}

function requestHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === 'string' && isTunnelRequestHeader(name)) kept[name] = value
  }
  return kept
}

function responseHeaders(headers: ResponseHeaders): ResponseHeaders {
  const kept: ResponseHeaders = {}
  for (const [name, value] of Object.entries(headers)) if (isTunnelResponseHeader(name)) kept[name] = value
  return kept
}

/** What the hub has a sentence for; of a pair of addresses that both failed, the first one's. */
function codeOf(error: Error): string {
  const { code, cause } = error as Error & { code?: unknown }
  if (error.name === 'HTTPParserError') return 'HPE_INVALID'
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return codeOf(error.errors[0])
  if (cause instanceof Error && code === 'UND_ERR_SOCKET') return codeOf(cause)
  return typeof code === 'string' && /^[A-Z0-9_]{1,40}$/.test(code) ? code : 'UND_ERR_SOCKET'
}
