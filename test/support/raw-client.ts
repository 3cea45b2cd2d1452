import { connect, type Socket } from 'node:net'
import { eventually } from './wire.ts'

export interface RawAnswer {
  status: number
  /** The status line and the headers. */
  head: string
  /** One character a byte. */
  body: string
  /** Whether it had its proper end. */
  isWhole: boolean
}

export interface RawClient {
  socket: Socket
  /** One character a byte, too. */
  say(bytes: string | Buffer): void
  heard(): string
  /** Resolves once that was heard. */
  hears(what: string): Promise<void>
  /** The answers so far, interim ones (1xx) included. */
  answers(): RawAnswer[]
  /** Resolves once there are so many whole ones. */
  answered(count?: number): Promise<RawAnswer[]>
  /** Whether the other side has closed its own, or cut the connection. */
  readonly isCut: boolean
  leave(): void
}

/** A client below HTTP. It never closes its side by itself, whatever the other one does. */
export function dial(port: number, host = '127.0.0.1'): RawClient {
  const socket = connect({ port, host, allowHalfOpen: true }).on('error', () => {})
  const chunks: Buffer[] = []
  let text = ''
  let isCut = false
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  for (const end of ['end', 'close']) {
    socket.once(end, () => {
      isCut = true
    })
  }
  const heard = () => {
    for (const chunk of chunks.splice(0)) text += chunk.toString('latin1')
    return text
  }
  const wholeOnes = () => answersIn(heard(), isCut).filter(({ isWhole }) => isWhole)
  return {
    socket,
    say: (bytes) => void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    heard,
    hears: (what) => eventually(() => heard().includes(what), `to hear ${what}`),
    answers: () => answersIn(heard(), isCut),
    async answered(count = 1) {
      await eventually(() => wholeOnes().length >= count, `${count} answers`, 10_000)
      return wholeOnes()
    },
    get isCut() {
      return isCut
    },
    leave: () => void socket.destroy(),
  }
}

const END_OF_HEAD = '\r\n\r\n'

/** Reads answers as RFC 9112 §6.3 says where each of them ends. */
export function answersIn(text: string, isClosed: boolean): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let at = 0; at < text.length; ) {
    const headEnd = text.indexOf(END_OF_HEAD, at)
    if (headEnd === -1) return [...answers, { status: 0, head: text.slice(at), body: '', isWhole: false }]
    const head = text.slice(at, headEnd)
    const from = headEnd + END_OF_HEAD.length
    const { body, end, isWhole } = bodyAt(text, from, head, isClosed)
    answers.push({ status: Number(head.split(' ', 2)[1]), head, body, isWhole })
    at = end
  }
  return answers
}

interface Body {
  body: string
  end: number
  isWhole: boolean
}

function bodyAt(text: string, from: number, head: string, isClosed: boolean): Body {
  if (/^HTTP\/1\.1 (?:1\d\d|204)/.test(head)) return { body: '', end: from, isWhole: true }
  if (/^transfer-encoding: chunked$/im.test(head)) return chunksAt(text, from)
  const length = /^content-length: (\d+)$/im.exec(head)?.[1]
  const end = length === undefined ? text.length : from + Number(length)
  return { body: text.slice(from, end), end, isWhole: length === undefined ? isClosed : end <= text.length }
}

function chunksAt(text: string, from: number): Body {
  let body = ''
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = lineEnd === -1 ? Number.NaN : Number.parseInt(text.slice(at, lineEnd), 16)
    const end = lineEnd + 2 + size + 2
    if (Number.isNaN(size) || end > text.length) return { body, end: text.length, isWhole: false }
    if (size === 0) return { body, end, isWhole: true }
    body += text.slice(lineEnd + 2, end - 2)
    at = end
  }
}
