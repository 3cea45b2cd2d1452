/**
 * The least that an event server in Node can do: it holds the responses, and writes the same bytes to each. What Node and the
 * kernel take for that can't be saved by anybody who uses them.
 *
 *   node bench/bare-events.ts PORT
 */
import { createServer, type ServerResponse } from 'node:http'

const [port] = process.argv.slice(2).map(Number)
const readers = new Set<ServerResponse>()

function hold(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.write('event: connected\ndata: {}\n\n')
  readers.add(response)
  response.once('close', () => readers.delete(response))
}

/** As an event of somebody who joined, in length too. */
function tell(id: string): void {
  const about = { id, nickname: id, model: 'bench-model', models: ['bench-model'], endpoint: 'http://127.0.0.1:11434' }
  const state = { specs: {}, config: {}, status: 'online', slots: 2000, joinedAt: Date.now(), lastSeen: Date.now() }
  const frame = Buffer.from(`id: 1\nevent: participant:joined\ndata: ${JSON.stringify({ ...about, ...state })}\n\n`)
  for (const reader of readers) {
    // In this turn of the event loop, not one later.
    reader.socket?.cork()
    reader.write(frame)
    reader.socket?.uncork()
  }
}

createServer((incoming, response) => {
  const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://localhost')
  if (pathname === '/events') return hold(response)
  const id = searchParams.get('id')
  if (id !== null) tell(id)
  response.end('{}')
}).listen(port, '127.0.0.1')
