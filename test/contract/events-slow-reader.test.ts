import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

/** The largest participant that may join: some 16 KB a frame. */
const LARGE = {
  endpoint: `http://127.0.0.1:1/${'ä'.repeat(2000)}`,
  config: { stop: Array.from({ length: 16 }, () => '語'.repeat(200)) },
}

/** Some 12 MB: more than the kernel keeps for two ends of a connection. */
const FLOOD_FRAMES = 800

/** One frame, and what Node takes before it says "enough". */
const HELD_BYTES = 256 * 1024

async function startRoom(t: Test, options: HubOptions) {
  const { hub, url } = await startHub(t, options)
  const { server, eventBus } = await hub.app
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  const { code } = (await openRoom(url)).room
  const held = () => Math.max(...Array.from(sockets, ({ writableLength }) => writableLength))
  return { url, code, eventBus, held, path: `${url}/rooms/${code}/events` }
}

/** Asks for the events, and takes nothing of what comes until somebody resumes it. */
async function openUnread(t: Test, path: string): Promise<IncomingMessage> {
  const outgoing = request(path, { agent: false })
  outgoing.on('error', () => {})
  outgoing.end()
  t.teardown(() => outgoing.destroy())
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  response.on('error', () => {})
  return response
}

async function flood(url: string, code: string): Promise<void> {
  for (let count = 0; count < FLOOD_FRAMES; count++) await join(url, code, LARGE)
}

/** Whether properly or not: `once` of node:events would throw at a stream that was cut off. */
function closed(response: IncomingMessage): Promise<unknown> {
  return new Promise((resolve) => response.once('close', resolve))
}

/** Reads on, and counts who has joined. */
function countJoins(response: IncomingMessage): () => number {
  let joins = 0
  let rest = ''
  response.setEncoding('utf8').on('data', (text: string) => {
    const parts = `${rest}${text}`.split('event: participant:joined\n')
    rest = (parts.pop() ?? '').slice(-40)
    joins += parts.length
  })
  return () => joins
}

t.test(
  'what a subscriber leaves unread does not grow in the hub, and who reads on in time misses nothing',
  async (t) => {
    const { url, code, path, held, eventBus } = await startRoom(t, {})
    const [unread, diligent] = [await openUnread(t, path), countJoins(await openUnread(t, path))]
    await flood(url, code)
    await eventually(() => diligent() === FLOOD_FRAMES, 'somebody else of the room has read everything')
    t.ok(held() > 0, 'it is behind indeed')
    t.ok(held() < HELD_BYTES, `${held()} bytes are held for it`)
    const belated = countJoins(unread)
    await eventually(() => belated() === FLOOD_FRAMES, 'all events have come')
    t.equal(eventBus.size, 2)
  },
)

t.test('a subscriber that reads too slowly is cut off, and catches up by replay', async (t) => {
  const { url, code, path, eventBus } = await startRoom(t, { eventStallMs: 1500, eventKeepAliveMs: 10 })
  const unread = await openUnread(t, path)
  const { id } = await (await readEvents(t, path)).next('connected')
  await flood(url, code)
  await eventually(() => eventBus.size === 1, 'the hub has cut off the one that does not read')
  unread.resume()
  await closed(unread)
  t.notOk(unread.complete, 'a stream that was cut off does not look like one that has ended')
  const caughtUp = countJoins(await openUnread(t, `${path}?lastEventId=${id}`))
  await eventually(() => caughtUp() === FLOOD_FRAMES, 'all that was missed has come')
})

t.test(
  'a bounded backlog: who has fallen further behind than the history is cut off when it reads again',
  async (t) => {
    const { url, code, path, eventBus } = await startRoom(t, { eventHistory: 5 })
    const unread = await openUnread(t, path)
    await flood(url, code)
    t.equal(eventBus.size, 1)
    const joins = countJoins(unread)
    await closed(unread)
    t.equal(eventBus.size, 0)
    t.ok(joins() > 0 && joins() < FLOOD_FRAMES, `${joins()} of ${FLOOD_FRAMES}`)
  },
)
