import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Test } from 'tap'

export interface Frame {
  id?: string
  event?: string
  /** Parsed JSON. */
  data?: Record<string, unknown>
  /** As it came, without the blank line that ends it. */
  text: string
}

export interface EventReader {
  response: IncomingMessage
  /** All frames so far, comments included. */
  frames: Frame[]
  /** The next frame of that event (of any, comments left out, where none is named) that was not handed out yet. */
  next(event?: string, timeoutMs?: number): Promise<Frame>
  /** Resolves when the stream has ended, by whichever side. */
  ended: Promise<void>
  close(): void
}

/** Reads an event stream over a socket of its own; closed when the test ends. */
export async function readEvents(t: Test, url: string, headers: Record<string, string> = {}): Promise<EventReader> {
  const outgoing: ClientRequest = request(url, { agent: false, headers })
  outgoing.end()
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const frames: Frame[] = []
  const handedOut = new Set<Frame>()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let wake = () => {}
  let rest = ''
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    const parts = `${rest}${chunk}`.split('\n\n')
    rest = parts.pop() ?? ''
    frames.push(...parts.map(parseFrame))
    wake()
  })
  response.on('error', () => {})
  response.on('close', () => end())
  outgoing.on('error', () => end())
  t.teardown(() => outgoing.destroy())

  async function next(event?: string, timeoutMs = 15_000): Promise<Frame> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = frames.find(
        (frame) => !handedOut.has(frame) && frame.event !== undefined && (event ?? frame.event) === frame.event,
      )
      if (found !== undefined) {
        handedOut.add(found)
        return found
      }
      const left = deadline - Date.now()
      if (left <= 0)
        throw new Error(
          `no ${event ?? ''} event within ${timeoutMs} ms; seen: ${frames.map((frame) => frame.event ?? frame.text).join(', ')}`,
        )
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  return { response, frames, next, ended, close: () => outgoing.destroy() }
}

function parseFrame(text: string): Frame {
  const frame: Frame = { text }
  for (const line of text.split('\n')) {
    if (line.startsWith('id: ')) frame.id = line.slice(4)
    if (line.startsWith('event: ')) frame.event = line.slice(7)
    if (line.startsWith('data: ')) frame.data = JSON.parse(line.slice(6)) as Record<string, unknown>
  }
  return frame
}
