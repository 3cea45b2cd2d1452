import type { FastifyBaseLogger } from 'fastify'
import { type Logger, pino } from 'pino'
import type { Config } from './config.ts'
import { LogLines } from './log-lines.ts'

export interface HubLogger {
  logger: FastifyBaseLogger
  /** Writes what is held back. */
  flush(): void
}

/** One line of JSON an entry; for a person at a terminal, colours and words. */
export async function createLogger({ logLevel }: Pick<Config, 'logLevel'>): Promise<HubLogger> {
  if (process.stdout.isTTY) {
    // A hub in the background does without what only a person reads.
    const { default: pretty } = await import('pino-pretty')
    return { logger: pino({ level: logLevel }, pretty({ ignore: 'pid,hostname' })), flush() {} }
  }
  const lines = new LogLines()
  const logger: Logger = pino({ level: logLevel }, lines)
  // Whoever wants errors alone must know as well that some may be missing.
  const always = logger.child({}, { level: 'warn' })
  lines.onLost = (count) => always.warn({ lines: count }, 'nobody read the log: lines are lost here')
  const flush = () => lines.writeLast()
  // However the process ends: what is said last says why.
  process.once('exit', flush)
  return { logger, flush }
}
