import type { Test } from 'tap'
import type { Census, RoomStore } from '../../../plugins/room-store/store.ts'
import {
  ALICE,
  FROM_HERS,
  joinAs,
  NOBODY,
  newcomer,
  openRoom,
  openRoomWith,
  type StoreDriver,
  storeTests,
} from './kit.ts'

export function census(t: Test, driver: StoreDriver): void {
  ofRooms(t, driver)
  ofParticipants(t, driver)
  ofChanges(t, driver)
}

/** `rooms: online busy offline`. */
async function count(store: RoomStore): Promise<string> {
  const { rooms, participants }: Census = await store.census()
  return `${rooms}: ${participants.online} ${participants.busy} ${participants.offline}`
}

function ofRooms(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a store with nothing in it counts nothing', async (t, store) => {
    t.strictSame(await store.census(), { rooms: 0, participants: { online: 0, busy: 0, offline: 0 } })
  })

  test('rooms are counted, unlisted ones included', async (t, store) => {
    const roomId = await openRoom(store)
    await openRoom(store, { listed: false })
    await openRoom(store, { code: 'KITCHEN' })
    t.equal(await count(store), '3: 0 0 0')
    await store.closeRoom(roomId)
    t.equal(await count(store), '2: 0 0 0')
    await store.takeIdleRooms(100_000, 1000)
    t.equal(await count(store), '1: 0 0 0')
  })

  test('a room that closes takes its participants with it, whatever they do', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.takeSilent(100_000, 1000)
    await joinAs(store, roomId, 'carol')
    await joinAs(store, roomId, 'dave')
    await store.updateParticipant(roomId, 'dave', { paused: true })
    t.equal(await count(store), '1: 1 1 2')
    await store.closeRoom(roomId)
    t.equal(await count(store), '0: 0 0 0')
  })
}

function ofParticipants(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('participants of all rooms are counted', async (t, store) => {
    await openRoomWith(store)
    await joinAs(store, await openRoomWith(store), 'bob')
    t.equal(await count(store), '2: 3 0 0')
  })

  test('who joins again counts once, and paused as it was', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.join(roomId, newcomer(), FROM_HERS)
    t.equal(await count(store), '1: 1 0 0')
    await store.updateParticipant(roomId, 'alice', { paused: true })
    await store.join(roomId, newcomer(), FROM_HERS)
    t.equal(await count(store), '1: 0 1 0')
  })

  test('a join that is refused counts nothing', async (t, store) => {
    const roomId = await openRoomWith(store)
    await t.rejects(store.join(roomId, newcomer(), NOBODY))
    t.equal(await count(store), '1: 1 0 0')
  })

  test('who leaves, is removed or expires is not counted any more', async (t, store) => {
    const roomId = await openRoomWith(store)
    for (const id of ['bob', 'carol']) await joinAs(store, roomId, id)
    await store.updateParticipant(roomId, 'bob', { paused: true })
    await store.leave(roomId, 'alice', ALICE)
    t.equal(await count(store), '1: 1 1 0')
    await store.removeParticipant(roomId, 'bob')
    t.equal(await count(store), '1: 1 0 0')
    await store.takeSilent(100_000, 1000)
    t.equal(await count(store), '1: 0 0 1')
    await store.takeExpired(200_000, 1000)
    t.equal(await count(store), '1: 0 0 0')
  })
}

function ofChanges(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a pause makes busy, its end online', async (t, store) => {
    const roomId = await openRoomWith(store)
    for (const paused of [true, true, false, false]) {
      await store.updateParticipant(roomId, 'alice', { paused })
      await store.heartbeat(roomId, 'alice', ALICE, 2000)
      t.equal(await count(store), paused ? '1: 0 1 0' : '1: 1 0 0')
    }
  })

  test('silence makes offline, whoever was paused; a heartbeat brings back what it was', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.updateParticipant(roomId, 'alice', { paused: true })
    await store.takeSilent(100_000, 1000)
    t.equal(await count(store), '1: 0 0 2')
    await store.heartbeat(roomId, 'alice', ALICE, 100_000)
    t.equal(await count(store), '1: 0 1 1')
  })

  test('a pause that ends while offline counts when it is back', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    await store.takeSilent(100_000, 1000)
    await store.updateParticipant(roomId, 'alice', { paused: false })
    t.equal(await count(store), '1: 0 0 1')
    await store.heartbeat(roomId, 'alice', ALICE, 100_000)
    t.equal(await count(store), '1: 1 0 0')
  })

  test('so do probes, good ones and bad ones', async (t, store) => {
    await openRoomWith(store, { liveness: 'probe' })
    const [probed] = await store.takeDueProbes(1000, 1000, 1)
    await store.recordProbe(probed!, { at: 1100, nextAt: 2000, failure: 'no LLM server' })
    t.equal(await count(store), '1: 1 0 0')
    await store.recordProbe(probed!, { at: 1200, nextAt: 2000, failure: 'no LLM server', isFinal: true })
    t.equal(await count(store), '1: 0 0 1')
    await store.recordProbe(probed!, { at: 1300, nextAt: 2000 })
    t.equal(await count(store), '1: 1 0 0')
  })

  test('a census is of its moment, and does not change', async (t, store) => {
    const before = await store.census()
    await openRoomWith(store)
    t.strictSame(before, { rooms: 0, participants: { online: 0, busy: 0, offline: 0 } })
  })

  if (driver.createPeer === undefined) return
  test('another hub that shares the store counts the same', async (t, store) => {
    const peer = await driver.createPeer!(store)
    t.teardown(() => peer.close())
    const roomId = await openRoomWith(store)
    await peer.updateParticipant(roomId, 'alice', { paused: true })
    await openRoom(peer)
    t.equal(await count(store), '2: 0 1 0')
    t.equal(await count(peer), '2: 0 1 0')
  })
}
