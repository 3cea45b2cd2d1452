import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { openRoom } from './hub.ts'
import type { EventReader, Frame } from './sse.ts'

export interface WireAnswer {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface WireRequest {
  headers?: Record<string, string>
  body?: string | Buffer
}

/** One request with these headers and no others but Host and the length: fetch would add a content type and fix paths. */
export async function send(method: string, url: string, { headers = {}, body }: WireRequest = {}): Promise<WireAnswer> {
  // Node announces no length for a DELETE, so its body would be taken for the next request.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const outgoing = request(url, { method, headers: { ...length, ...headers }, agent: false })
  outgoing.end(body)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) }
}

/**
 * All frames that the hub has sent until now: opens a room and waits for its hub-wide `room:created`. Streams keep the
 * order of publishing, so what has not come before it never will.
 */
export async function framesSoFar(hubUrl: string, reader: EventReader): Promise<Frame[]> {
  const { room } = await openRoom(hubUrl, { name: 'Last of all' })
  for (;;) {
    const { data } = await reader.next('room:created')
    if (data?.id === room.id) return reader.frames
  }
}

/** They sum up others, at a pace of their own. */
const SUMMARIES = new Set(['room:updated', 'participant:updated'])

/** The names of all events so far, without summaries and without the `room:created` that this question itself causes. */
export async function eventsSoFar(hubUrl: string, reader: EventReader): Promise<string[]> {
  const frames = await framesSoFar(hubUrl, reader)
  const names = frames.flatMap(({ event }) => (event === undefined ? [] : [event]))
  return names.filter((name) => !SUMMARIES.has(name)).slice(0, -1)
}

/** For states that announce themselves by no event. */
export async function eventually(holds: () => boolean, what: string, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
