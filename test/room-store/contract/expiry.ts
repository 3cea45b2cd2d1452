import type { Test } from 'tap'
import type { RoomRecord } from '../../../plugins/room-store/store.ts'
import {
  ALICE,
  FROM_ELSEWHERE,
  idsIn,
  idsOf,
  joinAs,
  newcomer,
  newRoom,
  openRoom,
  openRoomWith,
  type StoreDriver,
  storeTests,
} from './kit.ts'

const TTL_MS = 10_000

export function expiry(t: Test, driver: StoreDriver): void {
  participants(t, driver)
  idleRooms(t, driver)
  keptRooms(t, driver)
}

function participants(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('who has been offline for longer than allowed is removed, not before', async (t, store) => {
    const roomId = await openRoomWith(store)
    const silent = await store.takeSilent(50_000, 1000)
    t.strictSame(await store.takeExpired(50_000 + TTL_MS, TTL_MS), [])
    t.strictSame(await idsIn(store, roomId), ['alice'])
    t.strictSame(await store.takeExpired(50_001 + TTL_MS, TTL_MS), silent)
    t.strictSame(await idsIn(store, roomId), [])
  })

  test('it is handed out once, and its id is free', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(50_000, 1000)
    await store.takeExpired(90_000, TTL_MS)
    t.strictSame(await store.takeExpired(900_000, TTL_MS), [])
    await store.join(roomId, newcomer({ token: 'another' }), FROM_ELSEWHERE)
    t.strictSame(await idsIn(store, roomId), ['alice'])
  })

  test('nobody expires who is there, however long ago it was seen', async (t, store) => {
    await openRoomWith(store)
    t.strictSame(await store.takeExpired(9_000_000, TTL_MS), [])
  })

  test('who came back in time starts anew', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(50_000, 1000)
    await store.heartbeat(roomId, 'alice', ALICE, 55_000)
    t.strictSame(await store.takeExpired(900_000, TTL_MS), [])
    await store.takeSilent(100_000, 1000)
    t.strictSame(await store.takeExpired(100_000 + TTL_MS, TTL_MS), [])
    t.strictSame(idsOf(await store.takeExpired(100_001 + TTL_MS, TTL_MS)), ['alice'])
  })

  test('a change does not keep somebody who is away', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(50_000, 1000)
    await store.updateParticipant(roomId, 'alice', { slots: 2 })
    t.match(await store.takeExpired(50_001 + TTL_MS, TTL_MS), [{ participant: { id: 'alice', slots: 2 } }])
  })
}

function idleRooms(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a room that nobody has ever used is closed after the time that it is given, not before', async (t, store) => {
    const made = await store.createRoom(newRoom({ createdAt: 1000 }))
    t.strictSame(await store.takeIdleRooms(1000 + TTL_MS, TTL_MS), [])
    t.strictSame(await store.takeIdleRooms(1001 + TTL_MS, TTL_MS), [made])
    t.equal(await store.findRoom(made.room.code), undefined)
    t.strictSame(await store.takeIdleRooms(9_000_000, TTL_MS), [])
  })

  test('a visit starts the time anew, looking it up does not', async (t, store) => {
    const [looked, visited] = [await store.createRoom(newRoom()), await store.createRoom(newRoom())]
    await store.visitRoom(visited.room.code, 5000)
    await store.findRoom(looked.room.code)
    t.strictSame(roomIds(await store.takeIdleRooms(1001 + TTL_MS, TTL_MS)), [looked.room.id])
    t.strictSame(await store.takeIdleRooms(5000 + TTL_MS, TTL_MS), [])
    t.strictSame(roomIds(await store.takeIdleRooms(5001 + TTL_MS, TTL_MS)), [visited.room.id])
  })

  test('a room that everybody has left is closed in its time', async (t, store) => {
    const { room } = await store.createRoom(newRoom())
    await joinAs(store, room.id, 'bob')
    await store.removeParticipant(room.id, 'bob')
    await store.visitRoom(room.code, 5000)
    t.strictSame(roomIds(await store.takeIdleRooms(5001 + TTL_MS, TTL_MS)), [room.id])
  })

  test('a changed room is handed out as it is now', async (t, store) => {
    const roomId = await openRoom(store)
    const { record } = await store.updateRoom(roomId, { name: 'Renamed' })
    t.strictSame(await store.takeIdleRooms(9_000_000, TTL_MS), [record])
  })
}

function keptRooms(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a room with somebody in it is not idle, even if all are away', async (t, store) => {
    await openRoomWith(store)
    t.strictSame(await store.takeIdleRooms(9_000_000, TTL_MS), [])
    await store.takeSilent(9_000_000, 1000)
    t.strictSame(await store.takeIdleRooms(9_000_001, TTL_MS), [])
  })

  test('a room whose last participant has just expired is not idle yet', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(50_000, 1000)
    t.equal((await store.takeExpired(90_000, TTL_MS)).length, 1)
    t.strictSame(await store.takeIdleRooms(90_000 + TTL_MS, TTL_MS), [])
    t.strictSame(roomIds(await store.takeIdleRooms(90_001 + TTL_MS, TTL_MS)), [roomId])
  })

  test('a room with a code of its own choice never is', async (t, store) => {
    const { room } = await store.createRoom(newRoom({ code: 'LUNCH' }))
    t.strictSame(await store.takeIdleRooms(9_000_000, TTL_MS), [])
    await joinAs(store, room.id, 'bob')
    await store.removeParticipant(room.id, 'bob')
    await store.visitRoom('lunch', 2000)
    t.strictSame(await store.takeIdleRooms(9_000_000, TTL_MS), [])
  })
}

function roomIds(records: readonly RoomRecord[]): string[] {
  return records.map(({ room }) => room.id)
}
