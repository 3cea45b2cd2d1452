import { writeSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/** Characters of log held back before they are written; an idle hub flushes each second. */
const HELD_CHARS = 32 * 1024
const FLUSH_MS = 1000
/** Bytes that wait for whoever reads the log: what comes while nobody does is lost, and not the hub for want of memory. */
const BACKLOG_BYTES = 16 * 1024 * 1024
/** A full pipe is tried again after so long. */
const RETRY_MS = 10
/** For so long an ending process waits for whoever reads its log. */
const LAST_WORDS_MS = 1000

const STDOUT = 1

export interface HubLogger {
  logger: FastifyBaseLogger
  /** Writes what is held back. */
  flush(): void
}

/** One line of JSON an entry, written asynchronously; for a person at a terminal, colours and words. */
export async function createLogger({ logLevel }: Pick<Config, 'logLevel'>): Promise<HubLogger> {
  if (process.stdout.isTTY) {
    // A hub in the background does without what only a person reads.
    const { default: pretty } = await import('pino-pretty')
    return { logger: pino({ level: logLevel }, pretty({ ignore: 'pid,hostname' })), flush() {} }
  }
  const lines = holdLines()
  const logger: Logger = pino({ level: logLevel }, lines)
  lines.onLost = (count) => logger.warn({ lines: count }, 'nobody read the log: what came meanwhile is lost')
  // However the process ends: what is said last says why.
  process.once('exit', lines.flushSync)
  return { logger, flush: lines.flushSync }
}

interface HeldLines extends DestinationStream {
  /** Writes what is held back, and waits for it. */
  flushSync(): void
  /** Called when the log is read again. */
  onLost: (lines: number) => void
}

/**
 * Writes many lines as one. Written by this thread, since what another one is to write when the process ends is mostly lost; and
 * that holds nothing up: Node makes a pipe or socket at its standard output non-blocking (`process.stdout`, looked at above).
 */
function holdLines(): HeldLines {
  let held = ''
  /** What could not be written yet. */
  const backlog: Buffer[] = []
  let backlogBytes = 0
  let retry: NodeJS.Timeout | undefined
  let lost = 0

  const putBehind = (): void => {
    if (held === '') return
    const lines = Buffer.from(held)
    held = ''
    backlog.push(lines)
    backlogBytes += lines.length
  }

  /** @returns whether all is written */
  const write = (): boolean => {
    putBehind()
    for (let first = backlog[0]; first !== undefined; first = backlog[0]) {
      const written = tryToWrite(first)
      if (written === 0) return false
      backlogBytes -= written
      if (written < first.length) backlog[0] = first.subarray(written)
      else backlog.shift()
    }
    return true
  }

  const flush = (): void => {
    clearTimeout(retry)
    retry = write() ? undefined : setTimeout(flush, RETRY_MS).unref()
    if (retry !== undefined || lost === 0) return
    const count = lost
    lost = 0
    lines.onLost(count)
  }

  setInterval(flush, FLUSH_MS).unref()
  const lines: HeldLines = {
    write(line) {
      if (backlogBytes >= BACKLOG_BYTES) {
        lost += 1
        return
      }
      held += line
      if (held.length < HELD_CHARS) return
      if (retry === undefined) flush()
      else putBehind()
    },
    flushSync() {
      for (let waited = 0; !write() && waited < LAST_WORDS_MS; waited += RETRY_MS) sleep(RETRY_MS)
    },
    onLost() {},
  }
  return lines
}

/** @returns how many bytes have been taken; of what nobody can read any more, all */
function tryToWrite(bytes: Buffer): number {
  try {
    return writeSync(STDOUT, bytes)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN' ? 0 : bytes.length
  }
}

/** Of this thread alone. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
