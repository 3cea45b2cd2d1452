import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

interface RawStream {
  socket: Socket
  /** Resolves with the next piece that the socket hands out. */
  read(): Promise<string>
}

async function openRaw(t: Test, url: string, path: string): Promise<RawStream> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  t.teardown(() => socket.destroy())
  socket.write(`GET ${path} HTTP/1.0\r\nHost: ${hostname}\r\n\r\n`)
  return { socket, read: async () => String((await once(socket, 'data'))[0]) }
}

t.test(
  'frames: `id:`, `event:`, `data:` (one line of JSON), one space behind the colon, LF, and a blank line',
  async (t) => {
    const { url } = await startHub(t)
    const { room } = await openRoom(url)
    const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
    await join(url, room.code)
    const { text } = await reader.next('participant:joined')
    t.match(text, /^id: [^\s]+\nevent: participant:joined\ndata: \{.*\}$/)
    t.notMatch(text, '\r')
  },
)

t.test('the `connected` frame has the same form, and `retry:` says how soon to come back', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { text } = await (await readEvents(t, `${url}/rooms/${room.code}/events`)).next('connected')
  t.match(text, /^retry: \d+$/m)
  t.match(text, /^id: [^\s]+$/m)
  t.match(text, /event: connected\ndata: \{"clientId":"[0-9a-f-]{36}"\}$/)
})

t.test('headers and the first frame are flushed at once, without waiting for an event', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { read } = await openRaw(t, url, `/rooms/${room.code}/events`)
  let text = ''
  while (!text.includes('event: connected')) text += await read()
  t.match(text, /^HTTP\/1\.1 200 OK\r\n/)
})

t.test('one frame is one write: a client that reads piece by piece never sees half of one', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { socket, read } = await openRaw(t, url, `/rooms/${room.code}/events`)
  let text = ''
  while (!text.includes('event: connected')) text += await read()
  const pieces: string[] = []
  socket.on('data', (piece: string) => pieces.push(piece))
  for (const id of ['a', 'b', 'c']) {
    const before = pieces.length
    await join(url, room.code, { id })
    if (pieces.length === before) await once(socket, 'data')
  }
  for (const piece of pieces) t.match(piece, /^(id: \S+\nevent: \S+\ndata: .+\n\n)+$/)
  t.ok(pieces.length >= 3)
})

t.test('a name with line ends in any disguise never forges a frame', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  // Allowed in a name, and harmless: the text of a line end, an escape, a lone surrogate.
  await join(url, room.code, { nickname: '\\n\\nevent: forged\\ndata: {} \ud800' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:joined'])
})
