import type { FastifyBaseLogger } from 'fastify'
import { type DestinationStream, destination, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/** Characters of log held back before they are written; an idle hub flushes each second. */
const HELD_CHARS = 32 * 1024
/** Bytes of one write. */
const WRITE_BYTES = 64 * 1024
const FLUSH_MS = 1000

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
  const lines = holdLines(destination({ fd: 1, sync: false, maxWrite: WRITE_BYTES }))
  const logger: Logger = pino({ level: logLevel }, lines)
  // However the process ends: what is said last says why.
  process.once('exit', lines.flushSync)
  return { logger, flush: lines.flushSync }
}

type Sink = ReturnType<typeof destination>

/** Hands many lines on as one: what a sink does for each costs more than the line. */
function holdLines(sink: Sink): DestinationStream & { flushSync(): void } {
  let held = ''
  const flush = (): void => {
    if (held === '') return
    const lines = held
    held = ''
    sink.write(lines)
  }
  setInterval(flush, FLUSH_MS).unref()
  return {
    write(line) {
      held += line
      if (held.length >= HELD_CHARS) flush()
    },
    flushSync() {
      flush()
      sink.flushSync()
    },
  }
}
