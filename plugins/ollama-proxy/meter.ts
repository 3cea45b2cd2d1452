import type { Metrics } from '../../schemas/events.ts'
import { BothEnds } from './both-ends.ts'
import type { AnswerEnds, Protocol, Usage } from './protocols/protocol.ts'

/** English text; where a server tells nothing it is the best guess there is. */
const BYTES_PER_TOKEN = 4

const LF = 0x0a
const CR = 0x0d

/** A stream that was written in less than this share of the time was held back somewhere, and came at once. */
const LEAST_WRITING = 0.05

/** Beyond this a native search is faster than the loop. */
const LONG_LINE = 64

export interface MeterOptions {
  protocol: Pick<Protocol, 'readUsage' | 'generates' | 'streamType'>
  /** When the request came, ms. */
  startedAt: number
  /** When the participant got it: what it waited before says nothing of how fast that is. @default startedAt */
  sentAt?: number
  /** Of the client's request, for the estimate; 0 where it is no text. */
  requestBytes: number
}

/** Watches an answer go by. It keeps both ends of it, counts frames, and parses once, at the end. */
export class Meter {
  readonly #options: MeterOptions
  /** In a stream of lines each one is a frame; in one of events the blank ones end them. */
  readonly #isLines: boolean
  #firstByteAt: number | undefined
  readonly #ends = new BothEnds()
  /** Of an answer that has not grown since. */
  #told: { bytes: number; usage: Usage | undefined } | undefined
  #isText = true
  #frames = 0
  /** Of the line so far; an answer's first line ends no frame. */
  #lineBytes = 1

  constructor(options: MeterOptions) {
    this.#options = options
    this.#isLines = options.protocol.streamType === 'application/x-ndjson'
  }

  /** Of what is no text (audio), no tokens can be guessed. */
  isBinary(): void {
    this.#isText = false
  }

  get firstByteAt(): number | undefined {
    return this.#firstByteAt
  }

  see(chunk: Buffer, now: number): void {
    this.#firstByteAt ??= now
    this.#countFrames(chunk)
    this.#ends.add(chunk)
  }

  finish(now: number): Metrics {
    const { startedAt } = this.#options
    const told = this.told()
    const { inputTokens, outputTokens } = told ?? this.#estimate()
    const ttftMs = (this.#firstByteAt ?? now) - startedAt
    const durationMs = now - startedAt
    return {
      ttftMs: round(ttftMs),
      durationMs: round(durationMs),
      inputTokens,
      outputTokens,
      totalTokens: inputTokens + outputTokens,
      tokensPerSecond: this.#speed(outputTokens, now),
      estimated: told === undefined,
    }
  }

  /** Of a stream, the first token took the time before it; what came in one burst was made in all of the time. */
  #speed(tokens: number, now: number): number {
    const { startedAt, sentAt = startedAt } = this.#options
    const wholeMs = now - sentAt
    const writingMs = now - (this.#firstByteAt ?? now)
    const isStream = this.#frames > 1 && writingMs >= wholeMs * LEAST_WRITING
    return isStream ? speed(tokens - 1, writingMs) : speed(tokens, wholeMs)
  }

  /** As the server told it, else as it was counted. */
  usage(): Usage {
    return this.told() ?? this.#estimate()
  }

  /** As the server told it. */
  told(): Usage | undefined {
    if (this.#told?.bytes !== this.bytes) {
      this.#told = { bytes: this.bytes, usage: this.#options.protocol.readUsage(this.ends) }
    }
    return this.#told?.usage
  }

  /** Both ends of what has come so far. */
  get ends(): AnswerEnds {
    return this.#ends.ends()
  }

  get bytes(): number {
    return this.#ends.bytes
  }

  /** A blank line ends a frame, wherever the borders of the chunks are; the CR of a CRLF counts for nothing. */
  #countFrames(chunk: Buffer): void {
    let lineBytes = this.#lineBytes
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (byte === LF) {
        if (this.#isLines ? lineBytes > 0 : lineBytes === 0) this.#frames += 1
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
    return this.#lineBytes === 0 && this.bytes > 0 && this.#endsFrame()
  }

  #endsFrame(): boolean {
    if (this.#isLines) return true
    return /\r?\n\r?\n$/.test(this.#ends.last(4).toString('latin1'))
  }

  /** Servers send a frame a token; an answer in one piece is judged by its size. */
  #estimate(): Usage {
    const { protocol, requestBytes } = this.#options
    const bytes = this.#isText ? this.bytes : 0
    const counted = this.#frames > 0 ? this.#frames : Math.ceil(bytes / BYTES_PER_TOKEN)
    const outputTokens = protocol.generates === false || !this.#isText ? 0 : counted
    return { inputTokens: Math.ceil(requestBytes / BYTES_PER_TOKEN), outputTokens }
  }
}

function lineEnd(chunk: Buffer, from: number): number {
  const end = chunk.indexOf(LF, from)
  return end === -1 ? chunk.length : end
}

function speed(tokens: number, ms: number): number {
  return ms <= 0 || tokens <= 0 ? 0 : round((tokens * 1000) / ms)
}

/** Hundredths are as fine as these figures are true. */
export function round(value: number): number {
  return Math.round(value * 100) / 100
}
