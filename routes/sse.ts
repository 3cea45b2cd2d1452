import { randomUUID } from 'node:crypto'
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EventSink } from '../plugins/event-bus/bus.ts'

const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  // nginx would hold the events back until its buffer is full.
  'x-accel-buffering': 'no',
} as const

/** How often the kernel asks a silent peer whether it is still there (RFC 9293 §3.8.4). */
const TCP_KEEPALIVE_MS = 15_000

/** Streams the events of a room, or the hub-wide feed where no room is given, until one of the two sides ends it. */
export function streamEvents(request: FastifyRequest, reply: FastifyReply, roomId?: string): void {
  reply.hijack()
  const { raw } = reply
  request.socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
  // A hijacked reply loses what hooks have set, so start from there.
  raw.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...HEADERS })
  const lastEventId = lastSeenBy(request)
  const subscription = request.server.eventBus.subscribe({
    ...(roomId === undefined ? {} : { roomId }),
    ...(lastEventId === undefined ? {} : { lastEventId }),
    clientId: randomUUID(),
    sink: new FrameSink(raw),
  })
  raw.on('drain', subscription.resume)
  raw.once('close', subscription.close)
}

/** What a browser's EventSource sends when it comes back; others may say it in the query. */
function lastSeenBy(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return header
  return (request.query as { lastEventId?: string }).lastEventId
}

/** Of one subscriber, what is held back for the end of the turn: more goes out at once. */
export const MOST_HELD_CHARS = 16 * 1024

/** Those to whom something was written in this turn of the event loop. */
const written = new Set<FrameSink>()

function flushAll(): void {
  const sinks = [...written]
  // First: whatever becomes of one of them, the next turn has its own.
  written.clear()
  for (const sink of sinks) sink.flush()
}

/** Frames of one turn leave together: a system call for each would cost more than all else about an event. */
export class FrameSink implements EventSink {
  readonly #raw: ServerResponse
  #held = ''

  constructor(raw: ServerResponse) {
    this.#raw = raw
  }

  write(frame: string): boolean {
    if (this.#held === '') {
      if (written.size === 0) setImmediate(flushAll)
      written.add(this)
    }
    this.#held += frame
    if (this.#held.length > MOST_HELD_CHARS) this.flush()
    return !this.#raw.writableNeedDrain
  }

  flush(): void {
    const raw = this.#raw
    const held = this.#held
    if (held === '') return
    this.#held = ''
    const { socket } = raw
    if (raw.destroyed) return
    // Else Node waits for another turn of the event loop, to see whether more is written.
    socket?.cork()
    raw.write(held)
    socket?.uncork()
  }

  end(comment: string): void {
    this.flush()
    const raw = this.#raw
    // Who has not read what was sent before won't read a farewell: the socket would stay for as long as it likes.
    if (raw.writableNeedDrain) raw.destroy()
    else raw.end(comment)
  }
}
