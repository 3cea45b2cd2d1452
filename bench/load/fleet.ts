import { requestBody, type Wish } from '../workload.ts'
import { type Checker, ExactChecker, TextChecker } from './checker.ts'
import { Connection, requestBytes, type Target } from './connection.ts'

export interface Plan {
  readonly target: Target
  readonly wish: Wish
  readonly connections: number
  /** Of the request's body, beyond the prompt that says what to do. */
  readonly paddingBytes?: number
  /** Whether the answer must be the server's to the byte. */
  readonly isExact: boolean
}

export interface RunOptions {
  readonly requests: number
  /** Over how long the connections begin, ms; 0: all at once. @default 0 */
  readonly spreadMs?: number
}

export interface RunResult {
  /** Whole and right ones. */
  readonly answers: number
  readonly failures: number
  readonly firstFailure?: string
  readonly bytes: number
  readonly wallMs: number
  /** To the first byte of the body, of each answer, ms. */
  readonly ttftMs: number[]
  readonly durationMs: number[]
  /** Between two pieces of one answer, ms. */
  readonly longestGapMs: number
}

class Tally {
  answers = 0
  failures = 0
  firstFailure: string | undefined
  bytes = 0
  longestGapMs = 0
  readonly ttftMs: number[] = []
  readonly durationMs: number[] = []
  readonly #begunAt = performance.now()

  fail(why: string): void {
    this.failures += 1
    this.firstFailure ??= why
  }

  get result(): RunResult {
    const { answers, failures, firstFailure, bytes, ttftMs, durationMs, longestGapMs } = this
    const reason = firstFailure === undefined ? {} : { firstFailure }
    const wallMs = performance.now() - this.#begunAt
    return { answers, failures, ...reason, bytes, wallMs, ttftMs, durationMs, longestGapMs }
  }
}

/** Some keep-alive connections that all ask for the same thing. */
export class Fleet {
  readonly #request: Buffer
  readonly #bodyBytes: number
  readonly #plan: Plan
  readonly #connections: Connection[]

  constructor(plan: Plan) {
    const body = requestBody(plan.wish, plan.paddingBytes)
    this.#plan = plan
    this.#bodyBytes = body.length
    this.#request = requestBytes(plan.target, body)
    this.#connections = Array.from({ length: plan.connections }, () => new Connection(plan.target.port))
  }

  /** Connects, a few at a time, so that no backlog overflows. */
  async open(): Promise<void> {
    for (let at = 0; at < this.#connections.length; at += 100) {
      await Promise.all(this.#connections.slice(at, at + 100).map((connection) => connection.open()))
    }
  }

  async run({ requests, spreadMs = 0 }: RunOptions): Promise<RunResult> {
    const tally = new Tally()
    let left = requests
    const work = async (connection: Connection, index: number) => {
      const checker = this.#checker()
      if (spreadMs > 0) await pause((spreadMs * index) / this.#connections.length)
      while (left > 0) {
        left -= 1
        await this.#ask(connection, checker, tally)
      }
    }
    await Promise.all(this.#connections.map(work))
    return tally.result
  }

  close(): void {
    for (const connection of this.#connections) connection.close()
  }

  #checker(): Checker {
    const { isExact, wish } = this.#plan
    return isExact ? new ExactChecker(wish, this.#bodyBytes) : new TextChecker(wish, this.#bodyBytes)
  }

  async #ask(connection: Connection, checker: Checker, tally: Tally): Promise<void> {
    const begunAt = performance.now()
    let lastAt = 0
    checker.begin()
    const see = (piece: Buffer) => {
      const now = performance.now()
      if (lastAt === 0) tally.ttftMs.push(now - begunAt)
      else if (now - lastAt > tally.longestGapMs) tally.longestGapMs = now - lastAt
      lastAt = now
      tally.bytes += piece.length
      checker.see(piece)
    }
    const wrong = await connection.ask(this.#request, see).then(
      (status) => (status === 200 ? checker.end() : `status ${status}`),
      (error: Error) => error.message,
    )
    if (wrong !== undefined) return tally.fail(wrong)
    tally.answers += 1
    tally.durationMs.push(performance.now() - begunAt)
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
