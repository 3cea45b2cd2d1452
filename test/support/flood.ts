import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { type Answerer, startStream } from './fake-llm.ts'

export const MIB = 1024 * 1024

/** More than all buffers of kernel and hub on the way hold, even where the kernel lets them grow. */
export const FLOOD_BYTES = 64 * MIB
const PIECE = Buffer.alloc(64 * 1024, 'data: {"choices":[{"delta":{"content":"potluck"}}]}\n\n')

/** The whole of it, to compare with. */
export function wholeFlood(): Buffer {
  return Buffer.concat(Array(FLOOD_BYTES / PIECE.length).fill(PIECE))
}

export interface Flood {
  answerer: Answerer
  /** Resolves with how many bytes were taken once that has stood still: nobody takes more. */
  standstill(): Promise<number>
}

const LOOK_MS = 300

/** A participant that has far more to say than anybody buffers, and sends it as fast as it is taken. */
export function answerFlood(): Flood {
  let taken = 0
  const answerer: Answerer = async (_request, response) => {
    startStream(response)
    for (; taken < FLOOD_BYTES && !response.destroyed; taken += PIECE.length) {
      if (!response.write(PIECE)) await drained(response)
    }
    response.end()
  }
  async function standstill(): Promise<number> {
    for (let before = -1; before !== taken || before === 0; ) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    return taken
  }
  return { answerer, standstill }
}

async function drained(response: ServerResponse): Promise<void> {
  const either = new AbortController()
  const { signal } = either
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })])
  either.abort()
}

/** Asks for a stream over a socket of its own, and reads nothing of the answer until told to. */
export function askWithoutReading(t: Test, chatUrl: string): Socket {
  const { port, pathname } = new URL(chatUrl)
  const body = '{"model":"*","stream":true}'
  const socket = connect({ host: '127.0.0.1', port: Number(port) }).on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.pause()
  const head = `POST ${pathname} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
  socket.write(head + body)
  return socket
}

/** Reads on to the end. @returns the body, its chunks put together (RFC 9112 §7.1). */
export async function readOn(socket: Socket): Promise<Buffer> {
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  socket.resume()
  await once(socket, 'close')
  return unchunked(Buffer.concat(received))
}

function unchunked(answer: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = answer.indexOf('\r\n\r\n') + 4; at < answer.length; ) {
    const lineEnd = answer.indexOf('\r\n', at)
    const length = Number.parseInt(answer.toString('latin1', at, lineEnd), 16)
    pieces.push(answer.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
  return Buffer.concat(pieces)
}
