import t, { type Test } from 'tap'
import type { RoomView } from '../../schemas/room.ts'
import { call, join, startHub } from '../support/hub.ts'
import { type ManagedRoom, manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'
import { type EventReader, readEvents } from '../support/sse.ts'
import { framesSoFar } from '../support/wire.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

async function startRoom(t: Test): Promise<ManagedRoom & { url: string; own: EventReader }> {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  return { ...managed, url, own: await readEvents(t, `${managed.base}/events`) }
}

/** The first `room:updated` that the test is waiting for; those before it are passed over. */
async function updatedTo(reader: EventReader, holds: (view: RoomView) => boolean): Promise<RoomView> {
  for (;;) {
    const { data } = await reader.next('room:updated')
    if (holds(data as RoomView)) return data as RoomView
  }
}

function updates({ frames }: EventReader): RoomView[] {
  return frames.flatMap(({ event, data }) => (event === 'room:updated' ? [data as RoomView] : []))
}

t.test('room:updated carries the room as GET /rooms/:code shows it', async (t) => {
  const { change, view, own } = await startRoom(t)
  await change({ name: 'Larder', password: 'open sesame' })
  t.strictSame((await own.next('room:updated')).data, (await view()).body.room)
})

t.test('it goes to the room and to GET /events, never to another room', async (t) => {
  const { url, change, own, room } = await startRoom(t)
  const other = await readEvents(t, `${(await manageRoom(url)).base}/events`)
  const feed = await readEvents(t, `${url}/events`)
  await change({ name: 'Larder' })
  for (const reader of [own, feed]) t.hasStrict((await reader.next('room:updated')).data, { id: room.id })
  t.strictSame(updates({ ...other, frames: await framesSoFar(url, other) }), [])
})

t.test('a burst of changes: at most one a second, and the last one tells the last state', async (t) => {
  const { url, change, own } = await startRoom(t)
  const feed = await readEvents(t, `${url}/events`)
  const begun = performance.now()
  for (let index = 1; index <= 20; index++) await change({ name: `Name ${index}` })
  for (const reader of [own, feed]) {
    await updatedTo(reader, ({ name }) => name === 'Name 20')
    const seconds = Math.floor((performance.now() - begun) / 1000)
    const count = updates(reader).length
    t.ok(count <= seconds + 1, `${count} events in less than ${seconds + 1} s`)
  }
})

t.test('a change that comes alone is told at once, in the state that it made', async (t) => {
  const { url, change, own } = await startRoom(t)
  await change({ name: 'Larder' })
  t.strictSame(
    updates({ ...own, frames: await framesSoFar(url, own) }).map(({ name }) => name),
    ['Larder'],
  )
})

t.test('a burst in one room holds up no other one', async (t) => {
  const { url, change } = await startRoom(t)
  const garden = await manageRoom(url, { name: 'Garden' })
  const feed = await readEvents(t, `${url}/events`)
  for (const name of ['a', 'b', 'c']) await change({ name })
  await garden.change({ name: 'Park' })
  const frames = await framesSoFar(url, feed)
  t.ok(updates({ ...feed, frames }).some(({ name }) => name === 'Park'))
})

t.test('joining, leaving and removing change the participant count, and are told', async (t) => {
  const { url, room, base, asHost, own } = await startRoom(t)
  const feed = await readEvents(t, `${url}/events`)
  const both = async (count: number) => {
    for (const reader of [own, feed]) await updatedTo(reader, ({ participantCount }) => participantCount === count)
  }
  for (const id of ['alice', 'bob', 'carol']) await join(url, room.code, { id })
  await both(3)
  await call('DELETE', `${base}/leave/alice`)
  await call('DELETE', `${base}/participants/bob`, undefined, asHost)
  await both(1)
  t.strictSame(updates(own), updates(feed))
})

t.test('a participant that expires changes it too', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await manageRoom(url)
  await join(url, room.code)
  const feed = await readEvents(t, `${url}/events`)
  await pass(MINUTE_MS)
  await pass(DAY_MS + MINUTE_MS)
  t.hasStrict(await updatedTo(feed, ({ participantCount }) => participantCount === 0), { id: room.id })
})

t.test('going offline and coming back leave the count, and are no change of the room', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room, base } = await manageRoom(url)
  await join(url, room.code)
  const own = await readEvents(t, `${base}/events`)
  await pass(MINUTE_MS)
  await call('POST', `${base}/health`, { id: 'alice' })
  await own.next('participant:online')
  t.strictSame(updates({ ...own, frames: await framesSoFar(url, own) }), [])
})

t.test('no room:updated holds a secret', async (t) => {
  const { change, own, hostToken } = await startRoom(t)
  await change({ password: 'open sesame' })
  const { text } = await own.next('room:updated')
  t.notMatch(text, /sesame/)
  t.notMatch(text, NAMES_A_SECRET)
  t.notOk(text.includes(hostToken))
})

t.test('a room:updated that was missed is replayed', async (t) => {
  const { change, own, base } = await startRoom(t)
  const { id } = await own.next('connected')
  own.close()
  await change({ name: 'Larder' })
  const again = await readEvents(t, `${base}/events`, { 'last-event-id': id ?? '' })
  t.equal((await again.next('room:updated')).data?.name, 'Larder')
})

t.test('room:closed is the last that a room and the feed hear of it, whatever was still to be told', async (t) => {
  const { url, room, change, close, own } = await startRoom(t)
  const feed = await readEvents(t, `${url}/events`)
  for (const name of ['a', 'b', 'c']) await change({ name })
  await close()
  await own.ended
  t.equal(own.frames.findLast(({ event }) => event !== undefined)?.event, 'room:closed')
  t.equal((await feed.next('room:closed')).data?.roomId, room.id)
  // A second room's own pause has passed when its second change is told; so has that of the first.
  const garden = await manageRoom(url, { name: 'Garden' })
  await garden.change({ name: 'Park' })
  await garden.change({ name: 'Meadow' })
  await updatedTo(feed, ({ name }) => name === 'Meadow')
  const about = feed.frames.filter(({ text }) => text.includes(room.id))
  t.equal(about.at(-1)?.event, 'room:closed')
})
