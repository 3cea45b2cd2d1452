import { EventSource } from 'eventsource'
import t, { type Test } from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { type EventReader, type Frame, readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

async function startRoom(t: Test, eventHistory = 1000) {
  const running = await startHub(t, { eventHistory })
  const { room } = await openRoom(running.url)
  const path = `${running.url}/rooms/${room.code}/events`
  return { ...running, code: room.code, base: `${running.url}/rooms/${room.code}`, path }
}

/** Watches until somebody has joined, then goes away. */
async function watchOnce(t: Test, url: string, code: string, path: string): Promise<Frame> {
  const reader = await readEvents(t, path)
  await join(url, code, { id: 'first' })
  const frame = await reader.next('participant:joined')
  reader.close()
  return frame
}

function idsOf({ frames }: EventReader): unknown[] {
  return frames.flatMap(({ event, data }) => (event === 'participant:joined' ? [data?.id] : []))
}

t.test('`id` is made of `<epoch>.<hubSeq>.<roomSeq>`, on every frame', async (t) => {
  const { url, code, path } = await startRoom(t)
  const reader = await readEvents(t, path)
  await join(url, code)
  await eventsSoFar(url, reader)
  for (const { id, event } of reader.frames) t.match(id, /^[\w-]+\.\d+\.\d+$/, event ?? 'a comment')
  t.equal(new Set(reader.frames.map(({ id }) => id)).size, reader.frames.length, 'and each has its own')
})

t.test('`Last-Event-ID` replays what was missed, in order, each event once', async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id } = await watchOnce(t, url, code, path)
  for (const missed of ['second', 'third']) await join(url, code, { id: missed })
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  await eventsSoFar(url, reader)
  t.strictSame(idsOf(reader), ['second', 'third'])
})

t.test('`?lastEventId=` in the query does the same', async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id } = await watchOnce(t, url, code, path)
  for (const missed of ['second', 'third']) await join(url, code, { id: missed })
  const reader = await readEvents(t, `${path}?lastEventId=${encodeURIComponent(id ?? '')}`)
  await eventsSoFar(url, reader)
  t.strictSame(idsOf(reader), ['second', 'third'])
})

t.test('the header wins over the query: an EventSource that comes back keeps its first URL', async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id: old } = await watchOnce(t, url, code, path)
  await join(url, code, { id: 'second' })
  const seen = await readEvents(t, path, { 'last-event-id': old ?? '' })
  const { id: newer } = await seen.next('participant:joined')
  const reader = await readEvents(t, `${path}?lastEventId=${old}`, { 'last-event-id': newer ?? '' })
  t.strictSame(await eventsSoFar(url, reader), ['connected'])
})

t.test('`connected` comes first, the replay behind it', async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id } = await watchOnce(t, url, code, path)
  await call('DELETE', `${url}/rooms/${code}/leave/first`)
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:left'])
})

t.test("one cursor resumes the room's and the hub-wide sequence, in the order of publishing", async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id } = await watchOnce(t, url, code, path)
  await openRoom(url, { name: 'Attic' })
  await join(url, code, { id: 'second' })
  await openRoom(url, { name: 'Garden' })
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'room:created', 'participant:joined', 'room:created'])
})

t.test('the id of `connected` is a place to resume from too', async (t) => {
  const { url, code, path } = await startRoom(t)
  const first = await readEvents(t, path)
  const { id } = await first.next('connected')
  first.close()
  await join(url, code)
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:joined'])
})

t.test('a replayed frame is the very frame that others got, its id included', async (t) => {
  const { url, code, path } = await startRoom(t)
  const live = await readEvents(t, path)
  const { id } = await live.next('connected')
  await join(url, code)
  const replayed = await readEvents(t, path, { 'last-event-id': id ?? '' })
  t.equal((await replayed.next('participant:joined')).text, (await live.next('participant:joined')).text)
})

t.test('without an id nothing is replayed', async (t) => {
  const { url, code, path } = await startRoom(t)
  await join(url, code)
  t.strictSame(await eventsSoFar(url, await readEvents(t, path)), ['connected'])
  t.strictSame(await eventsSoFar(url, await readEvents(t, `${path}?lastEventId=`)), ['connected'])
})

t.test("says `gap` when it can't: too much has happened since", async (t) => {
  const { url, code, path } = await startRoom(t, 3)
  const { id } = await watchOnce(t, url, code, path)
  for (const missed of ['b', 'c', 'd', 'e']) await join(url, code, { id: missed })
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'gap'])
})

t.test('as long as all of it is still there, nothing is a gap', async (t) => {
  const { url, code, path } = await startRoom(t, 10)
  const { id } = await watchOnce(t, url, code, path)
  for (const missed of ['b', 'c', 'd']) await join(url, code, { id: missed })
  const reader = await readEvents(t, path, { 'last-event-id': id ?? '' })
  await eventsSoFar(url, reader)
  t.strictSame(idsOf(reader), ['b', 'c', 'd'])
})

t.test("says `gap` when it can't: an unknown epoch, another room's id, no id at all, the future", async (t) => {
  const { url, code, path } = await startRoom(t)
  const { id = '' } = await watchOnce(t, url, code, path)
  const other = (await openRoom(url)).room.code
  const foreign = await watchOnce(t, url, other, `${url}/rooms/${other}/events`)
  const epoch = id.split('.')[0]
  for (const odd of [
    'nosuch.1.1',
    foreign.id ?? '',
    '42',
    'a.b.c',
    `${epoch}.-1.-1`,
    `${epoch}.9999.9999`,
    'x'.repeat(3000),
  ]) {
    const reader = await readEvents(t, path, { 'last-event-id': odd })
    t.ok(await reader.next('gap'), odd.slice(0, 20))
    t.equal(reader.frames[0]?.event, 'connected')
  }
})

t.test('behind a gap the stream goes on live', async (t) => {
  const { url, code, path } = await startRoom(t)
  const reader = await readEvents(t, path, { 'last-event-id': 'nosuch.1.1' })
  await reader.next('gap')
  await join(url, code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})

t.test('an EventSource whose connection breaks comes back by itself and misses nothing', async (t) => {
  const { url, hub, code, path } = await startRoom(t)
  const source = new EventSource(path)
  t.teardown(() => source.close())
  const joined: unknown[] = []
  const both = new Promise<void>((resolve) => {
    source.addEventListener('participant:joined', ({ data }) => {
      joined.push((JSON.parse(String(data)) as { id: string }).id)
      if (joined.length === 2) resolve()
    })
  })
  await new Promise((resolve) => source.addEventListener('connected', resolve, { once: true }))
  await join(url, code, { id: 'before' })
  const { server } = await hub.app
  const broken = new Promise((resolve) => source.addEventListener('error', resolve, { once: true }))
  server.closeAllConnections()
  await broken
  await join(url, code, { id: 'meanwhile' })
  await both
  t.strictSame(joined, ['before', 'meanwhile'])
})
