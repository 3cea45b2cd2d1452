import t, { type Test } from 'tap'
import type { ListedRoom } from '../../schemas/room.ts'
import { call, join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'
import { type EventReader, readEvents } from '../support/sse.ts'
import { framesSoFar } from '../support/wire.ts'

async function listed(url: string): Promise<string[]> {
  return (await call<{ rooms: ListedRoom[] }>('GET', `${url}/rooms`)).body.rooms.map(({ name }) => name)
}

/** The hub's own feed and the stream of another room: where an unlisted room must not be heard of. */
async function listen(t: Test, url: string) {
  const other = await manageRoom(url, { name: 'Other' })
  return [await readEvents(t, `${url}/events`), await readEvents(t, `${other.base}/events`)] as const
}

async function told(url: string, reader: EventReader, roomId: string): Promise<string[]> {
  const frames = await framesSoFar(url, reader)
  return frames.filter(({ text }) => text.includes(roomId)).map(({ event }) => event ?? 'a comment')
}

t.test('an unlisted room is not in GET /rooms, and reached by its code', async (t) => {
  const { url } = await startHub(t)
  const { room, view } = await manageRoom(url, { name: 'Hideout', listed: false })
  t.strictSame(await listed(url), [])
  const { status, body } = await view()
  t.equal(status, 200)
  t.strictSame(body.room, { ...room, participantCount: 0, protected: false, listed: false, aliases: {} })
  t.ok(await join(url, room.code))
})

t.test('whatever happens in it, no stream but its own hears of it', async (t) => {
  const { url } = await startHub(t)
  const readers = await listen(t, url)
  const { room, base, change, changeParticipant, close } = await manageRoom(url, { name: 'Hideout', listed: false })
  const own = await readEvents(t, `${base}/events`)
  const { token } = await join(url, room.code)
  await changeParticipant('alice', { slots: 2 }, token)
  await change({ name: 'Lair' })
  await own.next('room:updated')
  await close()
  await own.ended
  for (const reader of readers) t.strictSame(await told(url, reader, room.id), [])
})

t.test('its own stream hears of changes and of the end', async (t) => {
  const { url } = await startHub(t)
  const { room, base, change, close } = await manageRoom(url, { name: 'Hideout', listed: false })
  const own = await readEvents(t, `${base}/events`)
  await change({ name: 'Lair' })
  t.hasStrict((await own.next('room:updated')).data, { id: room.id, name: 'Lair', listed: false })
  await close()
  t.strictSame((await own.next('room:closed')).data, { roomId: room.id, code: room.code })
})

t.test('a room that becomes listed is announced as if it had just been opened', async (t) => {
  const { url } = await startHub(t)
  const { room, change } = await manageRoom(url, { name: 'Hideout', listed: false })
  const readers = await listen(t, url)
  t.equal((await change({ listed: true })).body.room.listed, true)
  for (const reader of readers) {
    const { data } = await reader.next('room:created')
    t.strictSame(data, { ...room })
  }
  t.strictSame(await listed(url), ['Hideout', 'Other'])
})

t.test('a room that becomes unlisted is told of once more, so that whoever lists rooms can take it off', async (t) => {
  const { url } = await startHub(t)
  const { room, change, close } = await manageRoom(url, { name: 'Kitchen' })
  const [feed, other] = await listen(t, url)
  await change({ listed: false })
  t.hasStrict((await feed.next('room:updated')).data, { id: room.id, listed: false })
  t.notOk((await listed(url)).includes('Kitchen'))
  await change({ name: 'Secret kitchen' })
  await close()
  t.strictSame(await told(url, feed, room.id), ['room:updated'], 'and that was the last')
  t.strictSame(await told(url, other, room.id), [])
})

t.test('a change of nothing announces neither opening nor hiding', async (t) => {
  const { url } = await startHub(t)
  const shown = await manageRoom(url, { name: 'Kitchen' })
  const hidden = await manageRoom(url, { name: 'Hideout', listed: false })
  const [feed] = await listen(t, url)
  await shown.change({ listed: true })
  await hidden.change({ listed: false })
  t.strictSame(await told(url, feed, hidden.room.id), [])
  t.notOk((await told(url, feed, shown.room.id)).includes('room:created'))
})

t.test('a replay of the hub’s feed tells nothing of it either', async (t) => {
  const { url } = await startHub(t)
  const first = await readEvents(t, `${url}/events`)
  const { id } = await first.next('connected')
  const { room, change, close } = await manageRoom(url, { name: 'Hideout', listed: false })
  await change({ name: 'Lair' })
  await close()
  const again = await readEvents(t, `${url}/events`, { 'last-event-id': id ?? '' })
  t.strictSame(await told(url, again, room.id), [])
})

t.test('no page holds it, and it takes no place on one', async (t) => {
  const { url } = await startHub(t)
  for (const name of ['a', 'hidden', 'b', 'hidden', 'c']) await manageRoom(url, { name, listed: name !== 'hidden' })
  const { body } = await call<{ rooms: ListedRoom[]; cursor: string }>('GET', `${url}/rooms?limit=2`)
  t.strictSame(
    body.rooms.map(({ name }) => name),
    ['a', 'b'],
  )
  const rest = await call<{ rooms: ListedRoom[] }>('GET', `${url}/rooms?limit=2&cursor=${body.cursor}`)
  t.hasStrict(rest.body, { rooms: [{ name: 'c' }] })
  t.notOk('cursor' in rest.body)
})
