import type { FastifyBaseLogger } from 'fastify'
import { destination, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/** Bytes of log held back before they are written; an idle hub flushes each second. */
const BUFFER_BYTES = 32 * 1024
/** Bytes of one write; must be more than what is held back. */
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
  const sink = destination({
    fd: 1,
    sync: false,
    minLength: BUFFER_BYTES,
    maxWrite: WRITE_BYTES,
    periodicFlush: FLUSH_MS,
  })
  const logger: Logger = pino({ level: logLevel }, sink)
  return { logger, flush: () => sink.flushSync() }
}
