import { randomUUID } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
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
    sink: sinkFor(reply),
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

/** Sockets that are written to in this turn of the event loop. */
const corked = new Set<Socket>()

/** Frames of one turn leave together: a system call for each would cost more than all else about an event. */
function corkForThisTurn(socket: Socket | null): void {
  if (socket === null || corked.has(socket)) return
  if (corked.size === 0) setImmediate(uncorkAll)
  corked.add(socket)
  socket.cork()
}

function uncorkAll(): void {
  for (const socket of corked) socket.uncork()
  corked.clear()
}

function sinkFor({ raw }: FastifyReply): EventSink {
  return {
    write(frame) {
      corkForThisTurn(raw.socket)
      return raw.write(frame)
    },
    end(comment) {
      // Who has not read what was sent before won't read a farewell: the socket would stay for as long as it likes.
      if (raw.writableNeedDrain) raw.destroy()
      else raw.end(comment)
    },
  }
}
