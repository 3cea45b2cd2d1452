import { monotonicMs } from '../clock.ts'
import { requestBody, type Wish } from '../workload.ts'
import { Connection, requestBytes, type Target } from './connection.ts'

export interface AbortPlan {
  readonly target: Target
  /** `prefill`: while the server says nothing yet; `stream`: behind the first chunks. */
  readonly when: 'prefill' | 'stream'
  readonly count: number
  /** Of the requests: this one and those that follow. */
  readonly firstId: number
}

/** Who is aborted in prefill must have reached the server by then. */
const PREFILL_MS = 60

/** Chunks before a stream is aborted. */
const CHUNKS_SEEN = 3

const NEVER: Wish = { kind: 'never' }
const LONG: Wish = { kind: 'stream', chunks: 3000, everyMs: 10 }

/** Aborts requests one after the other. @returns pairs of id and the moment in which the client hung up */
export async function abortRequests({ target, when, count, firstId }: AbortPlan): Promise<[id: number, at: number][]> {
  const aborted: [number, number][] = []
  for (let id = firstId; id < firstId + count; id++) {
    const request = requestBytes(target, requestBody({ ...(when === 'prefill' ? NEVER : LONG), id }))
    aborted.push([id, await (when === 'prefill' ? abortInPrefill(target, request) : abortStream(target, request))])
  }
  return aborted
}

async function abortInPrefill({ port }: Target, request: Buffer): Promise<number> {
  const connection = new Connection(port)
  connection.ask(request, () => {}).catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, PREFILL_MS))
  return hangUp(connection)
}

async function abortStream({ port }: Target, request: Buffer): Promise<number> {
  const connection = new Connection(port)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let seen = 0
  const see = () => {
    seen += 1
    if (seen === CHUNKS_SEEN) resolve()
  }
  connection.ask(request, see).then((status) => reject(new Error(`The stream ended with status ${status}`)), reject)
  await promise
  return hangUp(connection)
}

function hangUp(connection: Connection): number {
  const at = monotonicMs()
  connection.close()
  return at
}
