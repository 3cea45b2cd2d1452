import { once } from 'node:events'
import { createServer } from 'node:http'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import type { Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { connectTunnel, type ServedRequest, type Tunnel, type TunnelOptions } from '../../src/agent/tunnel/index.ts'
import { type RawEnd, rawEnd } from './raw-tunnel.ts'

/** A hub that takes every tunnel, and then does what the test says. */
export async function startRawHub(t: Test): Promise<{ hub: URL; next(): Promise<WebSocket> }> {
  const server = createServer()
  const sockets = new WebSocketServer({ server, perMessageDeflate: false })
  const waiting: ((socket: WebSocket) => void)[] = []
  sockets.on('connection', (socket) => waiting.shift()?.(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets.clients) socket.terminate()
    server.close()
    server.closeAllConnections()
  })
  const hub = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return { hub, next: () => new Promise((resolve) => waiting.push(resolve)) }
}

export interface Opened {
  tunnel: Tunnel
  served: ServedRequest[]
}

type Options = Partial<Omit<TunnelOptions, 'endpoint'>>

/** The participant's end in front of a hub whose HTTP/2 is Node's own. */
export async function openToClient(t: Test, endpoint: string, options: Options = {}): Promise<Opened & Client> {
  const { hub, next } = await startRawHub(t)
  const socket = next()
  const opening = open(t, hub, endpoint, options)
  const session = sessionOn(await socket)
  t.teardown(() => session.destroy())
  return { ...(await opening), ...clientOf(session) }
}

/** The participant's end in front of a hub that writes frames. @param speaks whether it begins as HTTP/2 does */
export async function openToRaw(t: Test, endpoint: string, speaks = true, options: Options = {}) {
  const { hub, next } = await startRawHub(t)
  const socket = next()
  const opening = open(t, hub, endpoint, options)
  opening.catch(() => {})
  const raw: RawEnd = rawEnd(await socket)
  if (speaks) raw.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]))
  return { opening, raw }
}

async function open(t: Test, hub: URL, endpoint: string, options: Options): Promise<Opened> {
  const served: ServedRequest[] = []
  const observer = { onEnd: (request: ServedRequest) => void served.push(request) }
  const given = { hub, code: 'KITCHEN', token: 'sesame', endpoint: new URL(endpoint), observer, ...options }
  const tunnel = await connectTunnel(given)
  t.teardown(() => tunnel.close())
  return { tunnel, served }
}

function sessionOn(socket: WebSocket): ClientHttp2Session {
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, written) {
      socket.send(chunk)
      written()
    },
  })
  socket.on('message', (data) => stream.push(data))
  socket.on('close', () => stream.destroy())
  const session = connect('http://tunnel.invalid', { createConnection: () => stream })
  session.on('error', () => {})
  return session
}

export interface HubAnswer {
  /** 0: the stream was reset. */
  status: number
  headers: IncomingHttpHeaders
  text: string
}

interface Client {
  session: ClientHttp2Session
  ask(headers: OutgoingHttpHeaders, body?: string): Promise<HubAnswer>
}

function clientOf(session: ClientHttp2Session): Client {
  const ask = async (headers: OutgoingHttpHeaders, body?: string): Promise<HubAnswer> => {
    const stream = session.request(headers, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    let text = ''
    stream.on('data', (chunk) => {
      text += String(chunk)
    })
    let answer: IncomingHttpHeaders = { ':status': '0' }
    stream.on('response', (headers) => {
      answer = headers
    })
    // A reset without an answer is status 0.
    stream.on('error', () => {})
    await new Promise((resolve) => stream.once('close', resolve))
    return { status: Number(answer[':status']), headers: answer, text }
  }
  return { session, ask }
}
