import type { ServerResponse } from 'node:http'
import type { HeaderList } from './headers.ts'
import type { Protocol, ProtocolError } from './protocols/protocol.ts'

export interface KeepAliveOptions {
  response: ServerResponse
  protocol: Protocol
  /** Silence until the first sign of life, and between two; 0: never. */
  intervalMs: number
  headers(): HeaderList
  /** The response begins now. */
  onTakeOver(): void
}

/**
 * Keeps a stream's client from giving up while it waits for its turn, or for the first token: what its protocol has for that.
 * None of it counts as an answer, so others can still be asked; from then on a failure is told within the stream.
 */
export class KeepAlive {
  readonly #options: KeepAliveOptions
  readonly #frame: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: KeepAliveOptions) {
    this.#options = options
    this.#frame = options.protocol.keepAliveFrame
    const { intervalMs } = options
    if (intervalMs > 0 && this.#frame !== undefined) this.#timer = setInterval(this.#beat, intervalMs).unref()
  }

  get hasBegun(): boolean {
    return this.#options.response.headersSent
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** The end of a response that had begun, and failed. */
  fail(error: ProtocolError): void {
    const { response, protocol } = this.#options
    this.stop()
    if (response.destroyed) return
    response.write(protocol.errorFrame(error))
    // The missing last chunk tells every HTTP client that this is not the end.
    if (response.socket === null) response.destroy()
    else response.socket.destroySoon()
  }

  readonly #beat = (): void => {
    const { response, protocol, headers, onTakeOver } = this.#options
    if (response.destroyed || response.writableNeedDrain) return
    if (!response.headersSent) {
      onTakeOver()
      response.writeHead(200, [...headers(), 'content-type', protocol.streamType, 'cache-control', 'no-cache'])
    }
    response.write(this.#frame)
  }
}
