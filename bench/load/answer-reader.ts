const HEAD_END = Buffer.from('\r\n\r\n')
const LF = 0x0a

/** Of the bytes that are left: trailers, and the blank line that ends them. */
const BEHIND_LAST_CHUNK = -1

type Framing = 'head' | 'length' | 'chunked' | 'close'

/** Reads one HTTP/1.1 answer (RFC 9112 §6) as it comes, with less work than a client for everybody would do. */
export class AnswerReader {
  status = 0
  isEnded = false
  /** Whether the server will take no further request on this connection. */
  isLast = false
  readonly #onPiece: (piece: Buffer) => void
  #framing: Framing = 'head'
  #head: Buffer = Buffer.alloc(0)
  /** Bytes of the body, or of the chunk with the line end behind it. */
  #left = 0
  /** A chunk's size, as far as it came; undefined within a chunk. */
  #size: string | undefined = ''

  constructor(onPiece: (piece: Buffer) => void) {
    this.#onPiece = onPiece
  }

  read(data: Buffer): void {
    const body = this.#framing === 'head' ? this.#readHead(data) : data
    if (this.#framing === 'chunked') this.#readChunks(body)
    else if (this.#framing === 'length') this.#readLength(body)
    else if (this.#framing === 'close' && body.length > 0) this.#onPiece(body)
  }

  /** The server has closed the connection. @returns whether the answer is whole */
  close(): boolean {
    if (this.#framing === 'close') this.isEnded = true
    return this.isEnded
  }

  /** @returns what stands behind the head */
  #readHead(data: Buffer): Buffer {
    this.#head = this.#head.length === 0 ? data : Buffer.concat([this.#head, data])
    const end = this.#head.indexOf(HEAD_END)
    if (end === -1) return Buffer.alloc(0)
    const text = this.#head.toString('latin1', 0, end).toLowerCase()
    this.status = Number(text.slice(9, 12))
    this.isLast = text.includes('\r\nconnection: close')
    this.#frame(text)
    return this.#head.subarray(end + HEAD_END.length)
  }

  #frame(head: string): void {
    const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1]
    if (/\r\ntransfer-encoding: *chunked/.test(head)) this.#framing = 'chunked'
    else this.#framing = length === undefined ? 'close' : 'length'
    this.#left = Number(length ?? 0)
    this.isEnded = this.#framing === 'length' && this.#left === 0
  }

  #readLength(body: Buffer): void {
    this.#left -= body.length
    if (this.#left < 0) throw new Error('The answer is longer than its content-length')
    if (body.length > 0) this.#onPiece(body)
    this.isEnded = this.#left === 0
  }

  #readChunks(body: Buffer): void {
    let at = 0
    while (at < body.length && !this.isEnded) {
      at = this.#size === undefined ? this.#readChunk(body, at) : this.#readSize(body, at)
    }
  }

  #readSize(body: Buffer, from: number): number {
    const end = body.indexOf(LF, from)
    this.#size += body.toString('latin1', from, end === -1 ? body.length : end)
    if (end === -1) return body.length
    const size = this.#size?.trim() ?? ''
    this.#size = ''
    if (this.#left === BEHIND_LAST_CHUNK) this.isEnded = size === ''
    else this.#enterChunk(Number.parseInt(size, 16))
    return end + 1
  }

  #enterChunk(size: number): void {
    if (Number.isNaN(size)) throw new Error('The answer is not chunked as it should be')
    this.#left = size === 0 ? BEHIND_LAST_CHUNK : size + 2
    if (size > 0) this.#size = undefined
  }

  #readChunk(body: Buffer, from: number): number {
    const end = Math.min(body.length, from + this.#left)
    const ofChunk = Math.min(end, from + this.#left - 2)
    if (ofChunk > from) this.#onPiece(body.subarray(from, ofChunk))
    this.#left -= end - from
    if (this.#left === 0) this.#size = ''
    return end
  }
}
