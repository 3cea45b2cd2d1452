import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface Peer {
  url: string
  port: number
  /** Those that are open. */
  sockets: Set<Socket>
  /** How many connections were ever opened. */
  readonly connections: number
}

/** A server that only takes connections: what is done with them is the test's own. Stopped when the test ends. */
export async function startPeer(t: Test, take: (socket: Socket) => void): Promise<Peer> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    take(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    sockets,
    get connections() {
      return connections
    },
  }
}

export type RawAnswerer = (socket: Socket, request: Buffer) => void

export interface RawLlm extends Peer {
  /** Every request as it came, head and body. */
  requests: Buffer[]
}

/** An LLM server below HTTP: the test says which bytes go out, and what happens to the socket. */
export async function startRawLlm(t: Test, answer: RawAnswerer): Promise<RawLlm> {
  const requests: Buffer[] = []
  const peer = await startPeer(t, (socket) => {
    onRequest(socket, (request) => {
      requests.push(request)
      answer(socket, request)
    })
  })
  return Object.assign(peer, { requests })
}

/** Calls back once a request is there as a whole; one after the other, never two at once. */
function onRequest(socket: Socket, callback: (request: Buffer) => void): void {
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    const length = lengthOf(bytes)
    if (length === undefined || bytes.length < length) return
    const request = bytes.subarray(0, length)
    bytes = bytes.subarray(length)
    callback(request)
  })
}

function lengthOf(bytes: Buffer): number | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = bytes.toString('latin1', 0, end)
  const length = /^content-length: *(\d+)/im.exec(head)?.[1]
  return end + 4 + Number(length ?? 0)
}

export const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n'

/** A piece of a body in chunked transfer coding (RFC 9112 §7.1). */
export function chunked(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
}
