import type { Metrics } from '../../schemas/events.ts'
import type { Protocol, Usage } from './protocols/protocol.ts'

/** Usage stands at the end of an answer; llama.cpp's last chunk with its timings has some 900 bytes. */
export const TAIL_BYTES = 8 * 1024

/** English text; where a server tells nothing it is the best guess there is. */
const BYTES_PER_TOKEN = 4

const LF = 0x0a
const CR = 0x0d

/** Beyond this a native search is faster than the loop. */
const LONG_LINE = 64

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
  /** Of the line so far; an answer's first line ends no frame. */
  #lineBytes = 1

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

  /** A blank line ends a frame, wherever the borders of the chunks are; the CR of a CRLF counts for nothing. */
  #countFrames(chunk: Buffer): void {
    let lineBytes = this.#lineBytes
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte === LF) {
        if (lineBytes === 0) this.#frames += 1
        lineBytes = 0
      } else if (byte !== CR) {
        lineBytes += 1
        // The rest of a line is skipped natively: it may be megabytes long.
        if (lineBytes === LONG_LINE) at = lineEnd(chunk, at) - 1
      }
    }
    this.#lineBytes = lineBytes
  }

  /** Whether nothing stands between the last frame and what comes now. */
  get isAtFrameEnd(): boolean {
    return this.#lineBytes === 0 && this.#bytes > 0 && this.#endsFrame()
  }

  #endsFrame(): boolean {
    const tail = Buffer.concat(this.#tail.slice(-2)).subarray(-4).toString('latin1')
    return /\r?\n\r?\n$/.test(tail)
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

function lineEnd(chunk: Buffer, from: number): number {
  const end = chunk.indexOf(LF, from)
  return end === -1 ? chunk.length : end
}

/** Of a stream, the first token took the time before it. */
function speed(tokens: number, ms: number): number {
  return ms <= 0 ? 0 : round((tokens * 1000) / ms)
}

/** Hundredths are as fine as these figures are true. */
export function round(value: number): number {
  return Math.round(value * 100) / 100
}
