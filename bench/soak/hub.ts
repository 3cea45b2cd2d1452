/** The hub that is soaked, in a process of its own that tells what it holds. Run with `--expose-gc`. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import { createHub } from '../../src/hub.ts'
import { answerCalls } from '../rpc.ts'

export interface Holdings {
  readonly rssBytes: number
  readonly heapBytes: number
  /** Objects that anybody still holds, timers that keep nothing alive among them. */
  readonly objects: Readonly<Record<string, number>>
}

/** Nobody goes offline while the bench waits for the hub to come to rest. */
const hub = createHub({ host: '127.0.0.1', port: 0, offlineAfterMs: 86_400_000 })

const { constructor: Timeout } = setTimeout(() => {}, 0)

const WATCHED: Readonly<Record<string, Parameters<typeof queryObjects>[0]>> = {
  timers: Timeout,
  sockets: Socket,
  requests: IncomingMessage,
  responses: ServerResponse,
  'abort signals': AbortSignal,
}

/** Finalizers run between two collections, and free more. */
async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await globalThis.gc?.({ type: 'major', execution: 'async' })
    await sleep(20)
  }
}

function counted(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const api = {
  listen: (): Promise<string> => hub.listen(),
  /** What keeps the event loop alive, by its kind. */
  handles: (): Record<string, number> => counted(process.getActiveResourcesInfo()),
  /** Takes seconds. */
  async holdings(): Promise<Holdings> {
    await collectGarbage()
    const objects = Object.entries(WATCHED).map(([name, type]) => [name, queryObjects(type, { format: 'count' })])
    const { rss, heapUsed } = process.memoryUsage()
    return { rssBytes: rss, heapBytes: heapUsed, objects: Object.fromEntries(objects) }
  },
}

export type HubApi = typeof api

answerCalls(api)
