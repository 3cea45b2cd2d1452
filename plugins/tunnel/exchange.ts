import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { type Dispatcher, errors } from 'undici'
import { TUNNEL_ERROR_HEADER } from '../../schemas/tunnel.ts'
import { TunnelError } from './tunnel-error.ts'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants

/**
 * Of a body that is handed to HTTP/2 at once, bytes: it copies as much as the other end says it takes, and that may say that it
 * takes anything.
 */
const PIECE_BYTES = 64 * 1024

type Body = AsyncIterable<Buffer> | Iterable<Buffer>

/** One request and its answer on a tunnel, told to the handler in the very words of a direct connection. */
export class Exchange implements Dispatcher.DispatchController {
  readonly #options: Dispatcher.DispatchOptions
  readonly #handler: Dispatcher.DispatchHandler
  #session: ClientHttp2Session | undefined
  #onOver: ((wasReset: boolean) => void) | undefined
  #stream: ClientHttp2Stream | undefined
  #trailers: IncomingHttpHeaders = {}
  #hasAnswer = false
  /** What is still to come of an answer that said how long it is. */
  #leftBytes: number | undefined
  #isOver = false
  #isPaused = false
  #reason: Error | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    this.#options = options
    this.#handler = handler
  }

  get aborted(): boolean {
    return this.#reason !== null
  }

  get paused(): boolean {
    return this.#isPaused
  }

  get reason(): Error | null {
    return this.#reason
  }

  /** @param onOver called once, when it has ended @param wasReset its stream was taken back */
  start(session: ClientHttp2Session, onOver: (wasReset: boolean) => void): void {
    this.#session = session
    this.#onOver = onOver
    this.#handler.onRequestStart?.(this, {})
    if (this.#isOver) return
    const body = bodyOf(this.#options)
    try {
      this.#stream = session.request(headersOf(this.#options, body), { endStream: body === null })
    } catch (error) {
      this.abort(error as Error)
      return
    }
    this.#listen(this.#stream)
    this.#limit(this.#options.headersTimeout, () => new errors.HeadersTimeoutError())
    if (Buffer.isBuffer(body) && body.length <= PIECE_BYTES) this.#stream.end(body)
    else if (body !== null) void this.#pump(Buffer.isBuffer(body) ? [body] : body, this.#stream)
  }

  /** RFC 9113 §6.8: the other end will not look at it. */
  refuseBehind(lastStreamId: number): void {
    const id = this.#stream?.id
    if (id === undefined || id > lastStreamId) this.#fail(new TunnelError('PTL_TUNNEL_REFUSED'))
  }

  abort(reason: Error): void {
    this.#reason ??= reason
    this.#fail(reason)
  }

  pause(): void {
    this.#isPaused = true
    this.#stream?.pause()
    // Whoever is not read from can send nothing.
    if (this.#hasAnswer) clearTimeout(this.#timer)
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#hasAnswer && !this.#isOver) this.#limitBody()
    this.#stream?.resume()
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('headers', (headers) => this.#onInterim(headers))
    stream.on('response', (headers) => this.#onResponse(headers))
    stream.on('trailers', (trailers) => {
      this.#trailers = trailers
    })
    stream.on('end', () => this.#onEnd())
    stream.on('error', () => this.#onClose())
    stream.on('close', () => this.#onClose())
  }

  #onInterim(headers: IncomingHttpHeaders): void {
    this.#timer?.refresh()
    this.#tell(() => this.#handler.onResponseStart?.(this, Number(headers[':status']), plain(headers)))
  }

  #onResponse(headers: IncomingHttpHeaders): void {
    if (this.#isOver) return
    const refusal = headers[TUNNEL_ERROR_HEADER]
    if (refusal !== undefined) {
      this.#fail(toldError(String(refusal)))
      return
    }
    this.#hasAnswer = true
    this.#leftBytes = lengthOf(headers)
    this.#limitBody()
    this.#tell(() => this.#handler.onResponseStart?.(this, Number(headers[':status']), plain(headers), ''))
    // Not before: Node tells of the headers a tick behind the data that came with them.
    if (!this.#isOver) this.#stream?.on('data', (chunk: Buffer) => this.#onData(chunk))
    if (this.#isPaused) this.#stream?.pause()
  }

  #onData(chunk: Buffer): void {
    this.#timer?.refresh()
    if (this.#leftBytes !== undefined) this.#leftBytes -= chunk.length
    this.#tell(() => this.#handler.onResponseData?.(this, chunk))
  }

  /** A handler that fails, fails its own request alone. */
  #tell(telling: () => void): void {
    if (this.#isOver) return
    try {
      telling()
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #onEnd(): void {
    // Node ends a stream that was reset, too; then the close says what it was.
    const isReset = (this.#stream?.rstCode ?? NGHTTP2_NO_ERROR) !== NGHTTP2_NO_ERROR
    if (this.#isOver || !this.#hasAnswer || isReset || this.#session?.destroyed === true) return
    // Of a stream that was reset with "no error" nobody else has counted: the client would wait for the rest.
    if ((this.#leftBytes ?? 0) !== 0) {
      this.#fail(new errors.ResponseContentLengthMismatchError())
      return
    }
    this.#finish()
    try {
      this.#handler.onResponseEnd?.(this, this.#trailers)
    } catch (error) {
      this.#handler.onResponseError?.(this, error as Error)
    }
  }

  #onClose(): void {
    if (!this.#isOver) this.#fail(this.#breakage())
  }

  #breakage(): Error {
    if (this.#session?.destroyed !== false || this.#session.closed) return new TunnelError('PTL_TUNNEL_BROKEN')
    if (this.#stream?.rstCode === NGHTTP2_REFUSED_STREAM) return new TunnelError('PTL_TUNNEL_REFUSED')
    return new errors.SocketError('other side closed')
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#finish()
    this.#handler.onResponseError?.(this, error)
  }

  /** What is still to be sent is not sent any more, and what is still to come not waited for. */
  #finish(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    const stream = this.#stream
    const isToBeReset = stream?.closed === false && !(stream.readableEnded && stream.writableEnded)
    this.#onOver?.(isToBeReset)
    if (stream === undefined || stream.closed) return
    if (isToBeReset) stream.close(NGHTTP2_CANCEL)
    // What has come already is of no use to anybody.
    stream.resume()
  }

  #limitBody(): void {
    this.#limit(this.#options.bodyTimeout, () => new errors.BodyTimeoutError())
  }

  /** 0 or none: no limit. */
  #limit(ms: number | null | undefined, errorOf: () => Error): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (ms === undefined || ms === null || ms === 0) return
    this.#timer = setTimeout(() => this.#fail(errorOf()), ms).unref()
  }

  async #pump(body: Body, stream: ClientHttp2Stream): Promise<void> {
    try {
      for await (const chunk of body) {
        for (let from = 0; from < chunk.length; from += PIECE_BYTES) {
          if (this.#isOver || stream.destroyed) return
          if (!this.#hasAnswer) this.#timer?.refresh()
          if (!stream.write(chunk.subarray(from, from + PIECE_BYTES))) await drained(stream)
        }
      }
      stream.end()
    } catch (error) {
      this.abort(error as Error)
    }
  }
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done)
      stream.off('close', done)
      resolve()
    }
    stream.on('drain', done)
    stream.on('close', done)
    if (stream.closed || stream.destroyed) done()
  })
}

function bodyOf({ body }: Dispatcher.DispatchOptions): Buffer | Body | null {
  if (body === undefined || body === null) return null
  if (typeof body === 'string') return Buffer.from(body)
  return body as Buffer | Body
}

function headersOf(options: Dispatcher.DispatchOptions, body: Buffer | Body | null): OutgoingHttpHeaders {
  const { method, path, headers } = options
  const length = Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {}
  return { ...(headers as OutgoingHttpHeaders), ...length, ':method': method, ':path': path, ':scheme': 'http' }
}

function lengthOf(headers: IncomingHttpHeaders): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** Without the fields that are HTTP/2's own. */
function plain(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  delete headers[':status']
  return headers
}

/** Codes of Node and undici that the participant's end may tell: how its own connection failed. */
const TOLD_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ETIMEDOUT',
  'HPE_INVALID',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_OVERFLOW',
  'UND_ERR_SOCKET',
])

function toldError(code: string): Error {
  if (!TOLD_CODES.has(code)) return new TunnelError('PTL_TUNNEL_REFUSED')
  return Object.assign(new Error('The participant could not ask its server'), { code })
}
