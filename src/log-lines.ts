import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import type { DestinationStream } from 'pino'

/** Characters of log held back before they are written; an idle hub flushes each second. */
const HELD_CHARS = 32 * 1024
const FLUSH_MS = 1000
/** Bytes that wait for whoever reads the log: what comes while nobody does is lost, and not the hub for want of memory. */
const BACKLOG_BYTES = 16 * 1024 * 1024
/** What could not be written is tried again after so long. */
const RETRY_MS = 10
/** For so long an ending process waits for whoever reads its log to take any more of it, and for all of it. */
const LAST_LOOK_MS = 2000
const LAST_WORDS_MS = 10_000

const STDOUT = 1

/** Somebody does not read, or makes room on the disk: it may pass. */
const PASSING: ReadonlySet<string | undefined> = new Set(['EAGAIN', 'ENOSPC', 'EDQUOT'])

/**
 * The log on its way to standard output, many lines in one write. This thread writes, since what another one is to write when the
 * process ends is mostly lost. That holds nothing up: a pipe or a socket is not waited for, but tried again.
 */
export class LogLines implements DestinationStream {
  readonly #fd = ownDescriptor()
  #held = ''
  /** What could not be written yet. */
  readonly #backlog: Buffer[] = []
  #backlogBytes = 0
  #retry: NodeJS.Timeout | undefined
  #lost = 0
  #hasGivenUp = false

  /** Called as soon as lines are taken again, to say in their place how many were lost. */
  onLost: (lines: number) => void = () => {}

  constructor() {
    setInterval(() => this.#flush(), FLUSH_MS).unref()
  }

  write(line: string): void {
    if (this.#backlogBytes >= BACKLOG_BYTES) {
      this.#lost += 1
      return
    }
    this.#tellLost()
    this.#held += line
    if (this.#held.length < HELD_CHARS) return
    if (this.#retry === undefined) this.#flush()
    else this.#putBehind()
  }

  /**
   * Writes all, and waits for whoever reads it, but not for ever. Not called `flushSync`, which pino would call behind each fatal
   * line, while a hub still serves.
   */
  writeLast(): void {
    const beganAt = performance.now()
    let left = Number.POSITIVE_INFINITY
    let readAt = beganAt
    for (; !this.#writeAll() || this.#lost > 0; sleep(1)) {
      if (this.#backlogBytes === 0) {
        this.#tellLost()
        continue
      }
      const now = performance.now()
      if (this.#backlogBytes < left) readAt = now
      left = this.#backlogBytes
      this.#hasGivenUp ||= now > readAt + LAST_LOOK_MS || now > beganAt + LAST_WORDS_MS
      // Whoever ends the process may have asked for it before.
      if (this.#hasGivenUp) return
    }
    this.#hasGivenUp = false
  }

  #flush(): void {
    clearTimeout(this.#retry)
    const isAllWritten = this.#writeAll()
    this.#retry = isAllWritten ? undefined : setTimeout(() => this.#flush(), RETRY_MS).unref()
    if (!isAllWritten) return
    this.#hasGivenUp = false
    this.#tellLost()
  }

  #tellLost(): void {
    if (this.#lost === 0) return
    const lines = this.#lost
    // First, since what is told comes here as a line.
    this.#lost = 0
    this.onLost(lines)
  }

  #putBehind(): void {
    if (this.#held === '') return
    const lines = Buffer.from(this.#held)
    this.#held = ''
    this.#backlog.push(lines)
    this.#backlogBytes += lines.length
  }

  /** @returns whether nothing is left */
  #writeAll(): boolean {
    this.#putBehind()
    for (let first = this.#backlog[0]; first !== undefined; first = this.#backlog[0]) {
      const written = tryToWrite(this.#fd, first)
      if (written === 0) return false
      this.#backlogBytes -= written
      if (written < first.length) this.#backlog[0] = first.subarray(written)
      else this.#backlog.shift()
    }
    return true
  }
}

/**
 * Node makes a pipe or socket at its standard output non-blocking as soon as `process.stdout` is looked at. For a pipe that is not
 * enough: whoever shares it can undo that, as each Node process does that ends. Linux opens it anew, for this process alone.
 */
function ownDescriptor(): number {
  void process.stdout
  try {
    if (process.platform !== 'linux' || !fstatSync(STDOUT).isFIFO()) return STDOUT
    return openSync(`/proc/self/fd/${STDOUT}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // Closed, nobody reads any more, or another user's.
    return STDOUT
  }
}

/** @returns how many bytes have been taken; of what nobody can read any more, all */
function tryToWrite(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes)
  } catch (error) {
    return PASSING.has((error as NodeJS.ErrnoException).code) ? 0 : bytes.length
  }
}

/** Of this thread alone. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
