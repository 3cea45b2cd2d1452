import { once } from 'node:events'
import type { Test } from 'tap'
import { type ClientOptions, WebSocket } from 'ws'
import { TUNNEL_PROTOCOL } from '../../schemas/tunnel.ts'

/** Types of HTTP/2 frames (RFC 9113 §6). */
export const FRAME = {
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const

export const END_STREAM = 1
export const END_HEADERS = 4
export const ACK = 1

/** One frame of HTTP/2, byte for byte. */
export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A field of HPACK that is in no table (RFC 7541 §6.2.2). */
export function field(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)])
}

function text(of: string): Buffer {
  const bytes = Buffer.from(of)
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length: number[] = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest = rest >> 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface Seen {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

export interface RawEnd {
  socket: WebSocket
  /** All frames so far. */
  frames: Seen[]
  send(...frames: Buffer[]): void
  closed: Promise<number>
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Reads frames off a WebSocket. @param skip bytes of a preface */
export function rawEnd(socket: WebSocket, skip = 0): RawEnd {
  const frames: Seen[] = []
  let bytes = Buffer.alloc(0)
  let left = skip
  socket.on('error', () => {})
  socket.on('message', (data) => {
    bytes = Buffer.concat([bytes, data as Buffer])
    const skipped = Math.min(left, bytes.length)
    left -= skipped
    bytes = bytes.subarray(skipped)
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      const [type, flags, stream] = [bytes.readUInt8(3), bytes.readUInt8(4), bytes.readUInt32BE(5)]
      frames.push({ type, flags, stream, payload: Buffer.from(bytes.subarray(9, 9 + length)) })
      bytes = bytes.subarray(9 + length)
    }
  })
  const closed = once(socket, 'close').then(([code]) => code as number)
  const send = (...sent: Buffer[]) => {
    if (socket.readyState === socket.OPEN) socket.send(Buffer.concat(sent))
  }
  return { socket, frames, send, closed }
}

export interface RawParticipant extends RawEnd {
  /** Begins as an HTTP/2 server does. */
  speak(): void
  /** An answer's head. */
  answer(stream: number, more?: Buffer): void
}

/** The participant's end of a tunnel, below HTTP/2: the test says what goes out. */
export async function startRawParticipant(
  t: Test,
  url: string,
  code: string,
  token: string,
  options: ClientOptions = {},
): Promise<RawParticipant> {
  const at = `${url.replace('http', 'ws')}/rooms/${code}/tunnel`
  const headers = { authorization: `Bearer ${token}` }
  const socket = new WebSocket(at, [TUNNEL_PROTOCOL], { headers, perMessageDeflate: false, ...options })
  const end = rawEnd(socket, PREFACE.length)
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return {
    ...end,
    speak: () => end.send(frame(FRAME.settings, 0, 0), frame(FRAME.settings, ACK, 0)),
    answer: (stream, more = Buffer.alloc(0)) =>
      end.send(frame(FRAME.headers, END_HEADERS, stream, Buffer.concat([field(':status', '200'), more]))),
  }
}
