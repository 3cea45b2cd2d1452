import type { Readable } from 'node:stream'
import type { Hold } from '../plugins/ollama-proxy/held-bytes.ts'
import { BodyTooLarge, InvalidJson, TooMuchHeld } from '../schemas/errors.ts'

/** Memory is reserved for a whole body once this share of it has come: who announces much and sends little costs little. */
const RESERVING_SHARE = 8

/** Small pieces are packed into blocks of so many bytes: each as it comes would cost hundreds of bytes besides its own. */
const BLOCK_BYTES = 16 * 1024

export interface Holding {
  /** As the client announced it, which Node's parser holds it to. */
  contentLength: string | undefined
  /** Bytes. */
  limit: number
  /** Counts what is in memory. */
  hold: Hold
}

type Done = (error: Error | null, body?: Buffer) => void

/**
 * Takes a body as a whole, with one copy of its bytes, two of those that come in small pieces, and none of one that comes in
 * a single piece.
 * @throws by `done`: PTL_BODY_TOO_LARGE, PTL_TOO_MUCH_HELD, PTL_INVALID_JSON
 */
export function holdBody(stream: Readable, { contentLength, limit, hold }: Holding, done: Done): void {
  const announced = contentLength === undefined ? 0 : Number(contentLength)
  if (announced > limit) {
    done(new BodyTooLarge(limit))
    return
  }
  const held = new HeldBody(announced)
  const onData = (chunk: Buffer): void => {
    if (held.bytes + chunk.length > limit) finish(new BodyTooLarge(limit))
    else if (!hold.take(chunk.length)) finish(new TooMuchHeld())
    else held.add(chunk)
  }
  const onEnd = () => finish(null)
  // The client went away: no fault of the hub's, and nobody reads the answer.
  const onError = () => finish(new InvalidJson('it ends too early'))
  const finish = (error: Error | null): void => {
    stream.off('data', onData).off('end', onEnd).off('error', onError)
    if (error === null) done(null, held.whole())
    else done(error)
  }
  stream.on('data', onData).on('end', onEnd).on('error', onError)
}

class HeldBody {
  readonly #announced: number
  /** What came before it was worth to reserve memory, or all of a body of unknown length. */
  #pieces: Buffer[] = []
  /** Takes small pieces, behind all others. */
  #block: Buffer | undefined
  #blockBytes = 0
  #reserved: Buffer | undefined
  bytes = 0

  constructor(announced: number) {
    this.#announced = announced
  }

  add(chunk: Buffer): void {
    if (this.#reserved !== undefined) this.#reserved.set(chunk, this.bytes)
    else if (this.bytes === 0) this.#pieces.push(chunk)
    else this.#pack(chunk)
    this.bytes += chunk.length
    if (this.#isWorthReserving()) this.#reserve()
  }

  #pack(chunk: Buffer): void {
    if (chunk.length > BLOCK_BYTES - this.#blockBytes) this.#closeBlock()
    if (chunk.length >= BLOCK_BYTES) {
      this.#pieces.push(chunk)
      return
    }
    this.#block ??= Buffer.allocUnsafeSlow(BLOCK_BYTES)
    this.#block.set(chunk, this.#blockBytes)
    this.#blockBytes += chunk.length
  }

  #closeBlock(): void {
    if (this.#block !== undefined) this.#pieces.push(this.#block.subarray(0, this.#blockBytes))
    this.#block = undefined
    this.#blockBytes = 0
  }

  #isWorthReserving(): boolean {
    const isPart = this.bytes < this.#announced && this.bytes * RESERVING_SHARE >= this.#announced
    return this.#reserved === undefined && isPart
  }

  #reserve(): void {
    this.#closeBlock()
    this.#reserved = Buffer.allocUnsafeSlow(this.#announced)
    let at = 0
    for (const piece of this.#pieces) {
      this.#reserved.set(piece, at)
      at += piece.length
    }
    this.#pieces = []
  }

  whole(): Buffer {
    if (this.#reserved !== undefined) return this.#reserved
    this.#closeBlock()
    const [only] = this.#pieces
    return this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat(this.#pieces, this.bytes)
  }
}
