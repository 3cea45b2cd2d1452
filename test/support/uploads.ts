import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { eventually } from './wire.ts'

export const BOUNDARY = 'potluck boundary'
export const FORM = `multipart/form-data; boundary="${BOUNDARY}"`

export interface Part {
  name: string
  value: string | Buffer
  /** Of a file. */
  filename?: string
}

/** The bytes of a form, as a client writes them. */
export function formOf(...parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, value, filename }) => {
    const file = filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: application/octet-stream`
    return [`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`, value, '\r\n']
  })
  return Buffer.concat([...pieces, `--${BOUNDARY}--\r\n`].map((piece) => Buffer.from(piece as string)))
}

/** An upload on its way to a participant. */
export interface Arriving {
  incoming: IncomingMessage
  response: ServerResponse
  /** What has come so far. */
  readonly bytes: Buffer
  /** Resolves once that many bytes have come. */
  until(length: number): Promise<void>
  /** Resolves when all of it has come. */
  ended: Promise<void>
  /** Resolves when the connection to the hub has closed. */
  closed: Promise<void>
}

export interface Taker {
  url: string
  /** How many requests have come. */
  readonly count: number
  /** The next request that was not handed out yet, its head alone. */
  next(): Promise<Arriving>
}

/** A participant that takes uploads as they come; the test answers. */
export async function startTaker(t: Test, { isReading = true } = {}): Promise<Taker> {
  const arrivals: Arriving[] = []
  let handedOut = 0
  const server = createServer((incoming, response) => {
    arrivals.push(arriving(incoming, response, isReading))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get count() {
      return arrivals.length
    },
    async next() {
      await eventually(() => arrivals.length > handedOut, 'a request at the participant')
      handedOut += 1
      return arrivals[handedOut - 1] as Arriving
    },
  }
}

function arriving(incoming: IncomingMessage, response: ServerResponse, isReading: boolean): Arriving {
  const chunks: Buffer[] = []
  const [ended, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  incoming.on('error', () => {}).once('end', ended.resolve)
  incoming.socket.once('close', () => closed.resolve())
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  if (!isReading) incoming.pause()
  const length = () => chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  return {
    incoming,
    response,
    get bytes() {
      return Buffer.concat(chunks)
    },
    until: (bytes) => eventually(() => length() >= bytes, `${bytes} bytes at the participant`),
    ended: ended.promise,
    closed: closed.promise,
  }
}

export interface Sending {
  socket: Socket
  /** Resolves once the bytes are on their way; no sooner than somebody takes them. */
  write(bytes: string | Buffer): Promise<void>
  /** Of a body in chunks, that this was all. */
  end(): Promise<void>
  /** The whole text of the next answer on this connection. */
  answer(): Promise<Answered>
  /** Asks something else on the same connection. */
  ask(path: string): Promise<Answered>
}

export interface Answered {
  status: number
  head: string
  body: Buffer
}

export interface SendingOptions {
  contentType?: string
  /** Absent: in chunks. */
  length?: number
  headers?: Record<string, string>
}

/** An upload that the test sends piece by piece, over a socket of its own. */
export async function startSending(t: Test, url: string, options: SendingOptions = {}): Promise<Sending> {
  const { contentType = FORM, length, headers = {} } = options
  const { port, pathname } = new URL(url)
  const socket = connect({ host: '127.0.0.1', port: Number(port) }).on('error', () => {})
  t.teardown(() => socket.destroy())
  const answers = readAnswers(socket)
  const framing = length === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(length) }
  const lines = Object.entries({ host: 'hub', 'content-type': contentType, ...framing, ...headers })
  socket.write(`POST ${pathname} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
  const put = (bytes: string | Buffer) => new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  return {
    socket,
    async write(bytes) {
      const chunk = Buffer.from(bytes as string)
      await put(
        length === undefined
          ? Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
          : chunk,
      )
    },
    end: () => put(length === undefined ? '0\r\n\r\n' : ''),
    answer: answers,
    ask(path) {
      socket.write(`GET ${path} HTTP/1.1\r\nhost: hub\r\n\r\n`)
      return answers()
    },
  }
}

/** Reads answers one after the other, in whichever of HTTP's framings. */
function readAnswers(socket: Socket): () => Promise<Answered> {
  let bytes = Buffer.alloc(0)
  let isClosed = false
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  socket.once('close', () => {
    isClosed = true
  })
  return async () => {
    let found = answerIn(bytes)
    await eventually(() => {
      found = answerIn(bytes)
      return found !== undefined || isClosed
    }, 'an answer')
    if (found === undefined)
      throw new Error(`the connection was closed behind ${JSON.stringify(bytes.toString('latin1', 0, 500))}`)
    bytes = bytes.subarray(found.end)
    return found
  }
}

function answerIn(bytes: Buffer): (Answered & { end: number }) | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
  const length = /^content-length: *(\d+)/im.exec(head)?.[1]
  const start = headEnd + 4
  if (length === undefined) return chunkedIn(bytes, start, { status, head })
  const end = start + Number(length)
  return bytes.length < end ? undefined : { status, head, body: bytes.subarray(start, end), end }
}

/** RFC 9112 §7.1. */
function chunkedIn(bytes: Buffer, start: number, about: Omit<Answered, 'body'>) {
  const pieces: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + length + 2
    if (Number.isNaN(length) || bytes.length < end) return undefined
    if (length === 0) return { ...about, body: Buffer.concat(pieces), end }
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = end
  }
}
