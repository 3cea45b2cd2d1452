import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Dispatcher } from 'undici'
import { createDispatchers } from '../../plugins/ollama-proxy/dispatchers.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { join, openRoom, startHub } from './hub.ts'
import { joinByTunnel } from './tunnels.ts'

/** The two ways to a participant's server. */
export const WAYS = ['direct', 'tunnel'] as const
export type Way = (typeof WAYS)[number]

export interface Server {
  url: string
  /** Requests that have no whole answer yet and whose connection is open. */
  open: Set<ServerResponse>
  /** How many ever came. */
  readonly count: number
}

export type Take = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP server that reads and writes nothing by itself. */
export async function startServer(t: Test, take: Take): Promise<Server> {
  const open = new Set<ServerResponse>()
  let count = 0
  const server = createServer((request, response) => {
    count += 1
    open.add(response)
    request.on('error', () => {})
    response.once('close', () => open.delete(response))
    take(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    open,
    get count() {
      return count
    },
  }
}

/** The dispatcher of a participant in a hub, whichever way leads to its server. */
export async function reach(t: Test, way: Way, endpoint: string): Promise<Asker> {
  const { url, hub } = await startHub(t)
  const { room } = await openRoom(url)
  if (way === 'direct') await join(url, room.code, { endpoint })
  else await joinByTunnel(t, url, room.code, endpoint)
  const app = await hub.app
  const record = await app.roomStore.getParticipant(room.id, 'alice')
  const dispatchers = createDispatchers({
    allows: () => true,
    connectTimeoutMs: 2000,
    tunnelOf: (one) => app.tunnel.dispatcherFor(one),
  })
  t.teardown(() => dispatchers.destroy())
  return new Asker(dispatchers.dispatcherFor(record), record)
}

export type Asked = Partial<Omit<Dispatcher.DispatchOptions, 'body'>> & {
  body?: Buffer | string | AsyncIterable<Buffer> | null
}

export class Asker {
  readonly dispatcher: Dispatcher
  readonly record: ParticipantRecord

  constructor(dispatcher: Dispatcher, record: ParticipantRecord) {
    this.dispatcher = dispatcher
    this.record = record
  }

  ask(asked: Asked = {}): Answering {
    const answering = new Answering()
    const { target } = this.record
    const options = { origin: target.origin, method: 'POST', path: '/v1/chat/completions', body: '{}', ...asked }
    this.dispatcher.dispatch(options as Dispatcher.DispatchOptions, answering)
    return answering
  }
}

/** One request as its handler sees it. */
export class Answering implements Dispatcher.DispatchHandler {
  controller: Dispatcher.DispatchController | undefined
  status: number | undefined
  interims: number[] = []
  headers: IncomingHttpHeaders = {}
  trailers: IncomingHttpHeaders = {}
  chunks: Buffer[] = []
  bytes = 0
  error: (Error & { code?: string }) | undefined
  /** How often it was told that it is over. */
  ends = 0
  /** Takes nothing from its first byte on. */
  isStalled = false
  readonly started = Promise.withResolvers<void>()
  readonly first = Promise.withResolvers<void>()
  readonly over = Promise.withResolvers<void>()
  onChunk: (chunk: Buffer) => void = () => {}

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) {
      this.interims.push(status)
      return
    }
    this.status = status
    this.headers = headers
    this.started.resolve()
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.chunks.push(chunk)
    this.bytes += chunk.length
    if (this.isStalled) controller.pause()
    this.onChunk(chunk)
    this.first.resolve()
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.ends += 1
    this.trailers = trailers
    this.over.resolve()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.ends += 1
    this.error = error
    this.over.resolve()
  }
}

/** Looks until it is so, for ten seconds at most. */
export async function until(isSo: () => boolean, what: string, forMs = 10_000): Promise<void> {
  const end = performance.now() + forMs
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`it never came to this: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
