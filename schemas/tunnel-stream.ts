import { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { TUNNEL_LIMITS } from './tunnel.ts'

type Written = (error?: Error | null) => void

const BINARY = { binary: true } as const

/**
 * The bytes of a WebSocket as a stream, for HTTP/2. What is written within one turn leaves in as few messages as possible, and
 * counts as written at once: HTTP/2 reads nothing while it waits for a write, so that two ends that both send would wait
 * for each other. Beyond the backlog it does wait, which is what stops a peer that asks and never reads.
 *
 * The WebSocket itself is closed by whoever opened it, who knows why.
 */
export class WebSocketStream extends Duplex {
  readonly #socket: WebSocket
  readonly #backlogBytes: number

  /** @param onStranger called for what is no piece of a tunnel: a text message */
  constructor(socket: WebSocket, onStranger: () => void, backlogBytes: number = TUNNEL_LIMITS.backlogBytes) {
    const highWaterMark = TUNNEL_LIMITS.maxMessageBytes
    super({ readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark })
    this.#socket = socket
    this.#backlogBytes = backlogBytes
    socket.on('message', (data, isBinary) => {
      if (this.destroyed) return
      if (!isBinary) onStranger()
      else if (!this.push(data)) socket.pause()
    })
    socket.once('close', () => this.destroy())
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: Written): void {
    this.#send(chunk, written)
  }

  override _writev(chunks: { chunk: Buffer }[], written: Written): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), written)
  }

  #send(bytes: Buffer, written: Written): void {
    const { messageBytes } = TUNNEL_LIMITS
    const isFull = this.#socket.bufferedAmount > this.#backlogBytes
    for (let from = 0; from < bytes.length; from += messageBytes) {
      const isLast = from + messageBytes >= bytes.length
      const message = bytes.length <= messageBytes ? bytes : bytes.subarray(from, from + messageBytes)
      this.#socket.send(message, BINARY, isLast && isFull ? written : this.#onSent)
    }
    if (!isFull) written()
  }

  readonly #onSent = (error?: Error | null): void => {
    if (error !== undefined && error !== null) this.destroy(error)
  }

  /** A WebSocket has no half-closed state: what was written goes out, and nothing more is read. */
  override _final(finished: Written): void {
    finished()
    process.nextTick(() => this.destroy())
  }

  override _destroy(error: Error | null, destroyed: Written): void {
    // Or the other end's farewell would never be read.
    if (this.#socket.isPaused) this.#socket.resume()
    destroyed(error)
  }
}
