import type { Metrics } from '../../schemas/events.ts'
import type { Protocol, Usage } from './protocols/protocol.ts'

/** Usage stands at the end of an answer; llama.cpp's last chunk with its timings has some 900 bytes. */
export const TAIL_BYTES = 8 * 1024

/** English text; where a server tells nothing it is the best guess there is. */
const BYTES_PER_TOKEN = 4

const LF = 0x0a
const CR = 0x0d

export interface MeterOptions {
  protocol: Pick<Protocol, 'readUsage'>
  /** When the request came, ms. */
  startedAt: number
  /** Of the client's request, for the estimate. */
  requestBytes: number
}

/** Watches an answer go by. It keeps references to the last chunks, counts frames, and parses once, at the end. */
export class Meter {
  readonly #options: MeterOptions
  #firstByteAt: number | undefined
  #tail: Buffer[] = []
  #tailBytes = 0
  #bytes = 0
  #frames = 0
  /** Whether nothing stands in the line so far; the first line of an answer is none that could end a frame. */
  #isBlank = false

  constructor(options: MeterOptions) {
    this.#options = options
  }

  get firstByteAt(): number | undefined {
    return this.#firstByteAt
  }

  see(chunk: Buffer, now: number): void {
    this.#firstByteAt ??= now
    this.#bytes += chunk.length
    this.#countFrames(chunk)
    this.#keep(chunk)
  }

  finish(now: number): Metrics {
    const { startedAt } = this.#options
    const told = this.#told()
    const { inputTokens, outputTokens } = told ?? this.#estimate()
    const ttftMs = (this.#firstByteAt ?? now) - startedAt
    const durationMs = now - startedAt
    return {
      ttftMs: round(ttftMs),
      durationMs: round(durationMs),
      inputTokens,
      outputTokens,
      totalTokens: inputTokens + outputTokens,
      tokensPerSecond:
        this.#frames > 1 ? speed(outputTokens - 1, durationMs - ttftMs) : speed(outputTokens, durationMs),
      estimated: told === undefined,
    }
  }

  /** As the server told it, else as it was counted. */
  usage(): Usage {
    return this.#told() ?? this.#estimate()
  }

  #told(): Usage | undefined {
    const tail = Buffer.concat(this.#tail).subarray(-TAIL_BYTES)
    return this.#options.protocol.readUsage(tail.toString('utf8'))
  }

  /** A blank line ends a frame, wherever the borders of the chunks are. */
  #countFrames(chunk: Buffer): void {
    let start = 0
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      if (this.#isBlank && isBlank(chunk, start, end)) this.#frames += 1
      this.#isBlank = true
      start = end + 1
    }
    this.#isBlank &&= isBlank(chunk, start, chunk.length)
  }

  #keep(chunk: Buffer): void {
    const kept = chunk.length > TAIL_BYTES ? chunk.subarray(-TAIL_BYTES) : chunk
    this.#tail.push(kept)
    this.#tailBytes += kept.length
    while (this.#tailBytes - (this.#tail[0] as Buffer).length >= TAIL_BYTES) {
      this.#tailBytes -= (this.#tail.shift() as Buffer).length
    }
  }

  /** Servers send a frame a token; an answer in one piece is judged by its size. */
  #estimate(): Usage {
    const outputTokens = this.#frames > 0 ? this.#frames : Math.ceil(this.#bytes / BYTES_PER_TOKEN)
    return { inputTokens: Math.ceil(this.#options.requestBytes / BYTES_PER_TOKEN), outputTokens }
  }
}

/** Nothing, or the CR of a line that ends in CRLF. */
function isBlank(bytes: Buffer, start: number, end: number): boolean {
  return end === start || (end === start + 1 && bytes[start] === CR)
}

/** Of a stream, the first token took the time before it. */
function speed(tokens: number, ms: number): number {
  return ms <= 0 ? 0 : round((tokens * 1000) / ms)
}

/** Hundredths are as fine as these figures are true. */
function round(value: number): number {
  return Math.round(value * 100) / 100
}
