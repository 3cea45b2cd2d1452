import type { AnswerEnds } from './protocols/protocol.ts'

/** What stands at the beginning: Anthropic's count of the input, the id of a response. */
export const HEAD_BYTES = 4 * 1024

/** Usage stands at the end of an answer; llama.cpp's last chunk with its timings has some 900 bytes. */
export const TAIL_BYTES = 4 * 1024

/**
 * Keeps both ends of what goes by, in one place of a fixed size. To hold on to the chunks themselves would be cheaper by the
 * chunk, and keep four times the memory: each is an object of its own, and outlives what V8 throws away quickly.
 */
export class BothEnds {
  /** An answer in one piece is not copied. */
  #only: Buffer | undefined
  /** The head, and behind it a ring. */
  #store: Buffer | undefined
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  add(chunk: Buffer): void {
    if (this.#bytes === 0) this.#only = chunk
    else this.#copy(chunk)
    this.#bytes += chunk.length
  }

  #copy(chunk: Buffer): void {
    const only = this.#only
    if (only !== undefined) {
      this.#only = undefined
      this.#store = Buffer.allocUnsafeSlow(HEAD_BYTES + TAIL_BYTES)
      this.#put(only, 0)
    }
    this.#put(chunk, this.#bytes)
  }

  /** @param at how much has gone by before it */
  #put(chunk: Buffer, at: number): void {
    const store = this.#store as Buffer
    if (at < HEAD_BYTES) chunk.copy(store, at, 0, HEAD_BYTES - at)
    const from = Math.max(0, chunk.length - TAIL_BYTES)
    const place = (at + from) % TAIL_BYTES
    const fitting = Math.min(chunk.length - from, TAIL_BYTES - place)
    chunk.copy(store, HEAD_BYTES + place, from, from + fitting)
    chunk.copy(store, HEAD_BYTES, from + fitting)
  }

  /** As text. */
  ends(): AnswerEnds {
    const tail = this.#tail(TAIL_BYTES).toString('utf8')
    return { tail, head: this.#bytes <= TAIL_BYTES ? tail : this.#head().toString('utf8') }
  }

  /** The last so many bytes, or all where there are fewer. */
  last(length: number): Buffer {
    return this.#tail(length)
  }

  #head(): Buffer {
    return (this.#only ?? this.#store ?? Buffer.alloc(0)).subarray(0, HEAD_BYTES)
  }

  #tail(length: number): Buffer {
    if (this.#store === undefined) return this.#only?.subarray(-length) ?? Buffer.alloc(0)
    const ring = this.#store.subarray(HEAD_BYTES)
    if (this.#bytes <= TAIL_BYTES) return ring.subarray(Math.max(0, this.#bytes - length), this.#bytes)
    const end = this.#bytes % TAIL_BYTES
    const inOrder = Buffer.concat([ring.subarray(end), ring.subarray(0, end)])
    return inOrder.subarray(-length)
  }
}
