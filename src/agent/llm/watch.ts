import { setTimeout as sleep } from 'node:timers/promises'
import type { Headers } from './question.ts'
import { type LlmServer, lookAt } from './server.ts'

/** New models are announced within this, and a time-out of the server's. */
const INTERVAL_MS = 5000

/** A server that computes answers late now and then; one that is not there does not answer at all. */
const SILENCES = 2

export interface ServerWatchOptions {
  server: LlmServer
  headers?: Headers | undefined
  /** @default 5000 */
  intervalMs?: number | undefined
  /** Whether it answers a request right now. Some servers answer nothing else meanwhile. @default it never does */
  isServing?: (() => boolean) | undefined
  onModels(models: readonly string[]): void
  /** It is gone, or has lost its last model. */
  onGone(reason: string): void
}

/** Looks after an LLM server until the signal: says what it has whenever that changes, and again once it is back. */
export async function watchServer(
  { server, headers, intervalMs = INTERVAL_MS, isServing = () => false, onModels, onGone }: ServerWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  let told = JSON.stringify(server.models)
  let silences = 0
  while (!signal.aborted) {
    await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => {})
    if (signal.aborted) return
    const look = await lookAt(server.url, headers)
    if (signal.aborted) return
    if (look.kind === 'found' && look.server.models.length > 0) {
      const models = JSON.stringify(look.server.models)
      silences = 0
      if (models !== told) onModels(look.server.models)
      told = models
      continue
    }
    const reason = reasonOf(look)
    const isMute = look.kind === 'silent' && !/nothing listens/.test(reason)
    if (isMute && isServing()) continue
    silences += 1
    if (isMute && silences < SILENCES) continue
    if (told !== '') onGone(reason)
    told = ''
  }
}

function reasonOf(look: Awaited<ReturnType<typeof lookAt>>): string {
  if (look.kind === 'found') return 'it has no models any more'
  if (look.kind === 'locked') return 'it wants a key now'
  return 'reason' in look ? look.reason : 'it is another server now'
}
