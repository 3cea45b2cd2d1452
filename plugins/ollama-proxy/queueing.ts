import { QueueFull, QueueTimeout } from '../../schemas/errors.ts'
import type { Asker, Grant, Scheduler } from './choosing/scheduler.ts'
import type { KindEntry } from './directory.ts'

export interface QueueLimits {
  /** Requests that wait in one room. */
  length: number
  /** Of them those of one client, so that one does not keep all the others out. */
  lengthOfClient: number
  /** How long one may wait. */
  waitMs: number
}

/** How many wait of each client, by room and client. */
export type ClientCounts = Map<string, number>

export interface QueueingOptions {
  counts: ClientCounts
  scheduler: Scheduler
  limits: QueueLimits
  /** Why nobody can be asked any more. */
  refusal(): Promise<Error>
}

export interface TurnOptions extends QueueingOptions {
  roomId: string
  entry: KindEntry
  asker: Asker
  /** It was let in before, and is not turned away now. */
  isRetry: boolean
  /** Since when this request has been waiting in all, ms. */
  waitedMs: number
  /** Calls back when the client, or the hub, gave up. @returns stops it */
  onGivenUp(callback: (reason: Error) => void): () => void
  /** It has to wait. */
  onQueued(position: number): void
}

/** When the queue is full, what a client may do is to come back when somebody has been served. */
const RETRY_AFTER_S = 5

/**
 * Waits for a slot; at once where one is free.
 * @throws PTL_QUEUE_FULL, PTL_QUEUE_TIMEOUT, what `refusal` says, and why it was given up
 */
export function waitForTurn(options: TurnOptions): Promise<Grant> | Grant {
  const { scheduler, counts, limits, roomId, entry, asker, isRetry } = options
  let grantedAtOnce: Grant | undefined
  let resolve: (grant: Grant) => void = (grant) => {
    grantedAtOnce = grant
  }
  let refuse = (): void => {}
  const turn = { onGrant: (grant: Grant) => resolve(grant), onNobody: () => refuse() }
  const counted = `${roomId} ${asker.client}`
  const own = counts.get(counted) ?? 0
  const isQueueFull = !isRetry && (scheduler.waitingIn(roomId) >= limits.length || own >= limits.lengthOfClient)
  if (isQueueFull && entry.kind.isFull) throw new QueueFull(RETRY_AFTER_S)
  const waiting = entry.kind.enter(asker, turn)
  if (grantedAtOnce !== undefined) return grantedAtOnce
  return new Promise((granted, failed) => {
    const { onGivenUp, waitedMs, refusal, onQueued } = options
    counts.set(counted, own + 1)
    let isOver = false
    const end = (): void => {
      // Why nobody is left is found out after a while; meanwhile the wait may have ended otherwise.
      if (isOver) return
      isOver = true
      const left = (counts.get(counted) ?? 1) - 1
      if (left > 0) counts.set(counted, left)
      else counts.delete(counted)
      clearTimeout(timer)
      stopListening()
      waiting?.leave()
    }
    const fail = (reason: Error): void => {
      end()
      failed(reason)
    }
    const stopListening = onGivenUp(fail)
    const timer = setTimeout(() => fail(new QueueTimeout(RETRY_AFTER_S)), Math.max(0, limits.waitMs - waitedMs)).unref()
    resolve = (grant) => {
      end()
      granted(grant)
    }
    refuse = () => void refusal().then(fail, fail)
    onQueued(waiting?.position ?? 1)
  })
}
