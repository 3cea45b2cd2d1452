import { performance } from 'node:perf_hooks'
import type { TunnelPath } from '../../../schemas/tunnel.ts'

export type ServedOutcome = 'done' | 'cancelled' | 'failed' | 'refused'

/** Whoever wants to show what the participant's machine does. */
export interface TunnelObserver {
  onStart?(request: ServedRequest): void
  onEnd?(request: ServedRequest): void
}

/** One request that came through the tunnel, while it runs and when it has ended; no word of its content. */
export class ServedRequest {
  readonly method: string
  /** Of the allow-list; undefined where it was refused. */
  readonly path: string | undefined
  /** The hub only asks what the server can do. */
  readonly isQuestion: boolean
  /** Of a monotonic clock, ms. */
  readonly startedAt = performance.now()
  endedAt: number | undefined
  firstByteAt: number | undefined
  status: number | undefined
  requestBytes = 0
  answerBytes = 0
  outcome: ServedOutcome | undefined
  readonly #tokens = new TokenGuess()

  constructor(method: string, allowed: TunnelPath | undefined) {
    this.method = method
    this.path = allowed?.path
    this.isQuestion = allowed?.isQuestion === true
  }

  /** Of the output so far: one a frame of a stream; once it has ended, as the server counted them where it did. */
  get outputTokens(): number {
    return this.#tokens.count
  }

  begin(status: number, contentType: string): void {
    this.status = status
    this.#tokens.begin(contentType)
  }

  see(chunk: Buffer): void {
    this.firstByteAt ??= performance.now()
    this.answerBytes += chunk.length
    this.#tokens.see(chunk)
  }

  end(outcome: ServedOutcome): void {
    this.endedAt = performance.now()
    this.outcome = outcome
    if (outcome === 'done') this.#tokens.end()
  }
}

const LINE_END = 10

/** Where the usage stands, at the end of what servers send. */
const TAIL_BYTES = 2048

/** Guesses tokens from what passes, without parsing it: streams have a token a frame, and a frame ends with a line. */
class TokenGuess {
  count = 0
  #framesPerLine = 0
  #tail: Buffer | undefined

  begin(contentType: string): void {
    if (contentType.startsWith('text/event-stream')) this.#framesPerLine = 0.5
    else if (contentType.startsWith('application/x-ndjson')) this.#framesPerLine = 1
  }

  see(chunk: Buffer): void {
    this.#tail =
      chunk.length >= TAIL_BYTES || this.#tail === undefined
        ? chunk
        : Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES)
    if (this.#framesPerLine === 0) return
    for (let at = chunk.indexOf(LINE_END); at !== -1; at = chunk.indexOf(LINE_END, at + 1))
      this.count += this.#framesPerLine
  }

  end(): void {
    const told = [...(this.#tail?.subarray(-TAIL_BYTES).toString('latin1') ?? '').matchAll(USAGE)].at(-1)?.[1]
    this.count = told === undefined ? Math.floor(this.count) : Number(told)
  }
}

const USAGE = /"(?:completion_tokens|output_tokens|eval_count|predicted_n)"\s*:\s*(\d{1,9})/g
