/** Many readers of one event stream, a process of its own. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { answerCalls } from '../rpc.ts'

export interface Subscribing {
  readonly port: number
  readonly path: string
  readonly count: number
}

export interface Delivery {
  readonly delivered: number
  /** From the first delivery to the last one, ms. */
  readonly spreadMs: number
}

/** At once, so that no backlog overflows. */
const BATCH = 100

/** How long an event may take to reach everybody. */
const PATIENCE_MS = 10_000

let sockets: Socket[] = []

/** The event that is waited for, and who has seen it. */
let marker: Buffer | undefined
let [delivered, firstAt, lastAt] = [0, 0, 0]
let whenAll: (() => void) | undefined

/** One buffer for all: what is read is looked at at once. */
const shared = Buffer.alloc(64 * 1024)

async function subscribe({ port, path }: Subscribing): Promise<Socket> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let isGreeted = false
  const see = (bytes: number): boolean => {
    if (isGreeted) look(bytes)
    else if (shared.subarray(0, bytes).includes('event: connected')) {
      isGreeted = true
      resolve()
    }
    return true
  }
  const socket = connect({ port, host: '127.0.0.1', onread: { buffer: shared, callback: see } })
  await once(socket, 'connect')
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\naccept: text/event-stream\r\n\r\n`)
  await promise
  return socket
}

function look(bytes: number): void {
  if (marker === undefined || shared.subarray(0, bytes).indexOf(marker) === -1) return
  lastAt = performance.now()
  if (delivered === 0) firstAt = lastAt
  delivered += 1
  if (delivered === sockets.length) whenAll?.()
}

const api = {
  async open(subscribing: Subscribing): Promise<void> {
    while (sockets.length < subscribing.count) {
      const batch = Math.min(BATCH, subscribing.count - sockets.length)
      sockets.push(...(await Promise.all(Array.from({ length: batch }, () => subscribe(subscribing)))))
    }
  },
  /** From now on the event is counted that holds this text. */
  expect(text: string): void {
    marker = Buffer.from(text)
    delivered = 0
  },
  /** Waits until everybody has got it, or has had time enough. */
  async delivery(): Promise<Delivery> {
    if (delivered < sockets.length) {
      await new Promise<void>((resolve) => {
        whenAll = resolve
        setTimeout(resolve, PATIENCE_MS).unref()
      })
    }
    return { delivered, spreadMs: lastAt - firstAt }
  },
  close(): void {
    for (const socket of sockets) socket.destroy()
    sockets = []
  },
}

export type SubscribersApi = typeof api

answerCalls(api)
