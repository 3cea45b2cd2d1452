import type { Test } from 'tap'
import {
  ALICE,
  byToken,
  FROM_HERS,
  idsOf,
  joinAs,
  NOBODY,
  newcomer,
  openRoom,
  openRoomWith,
  type StoreDriver,
  showing,
  storeTests,
} from './kit.ts'

const TIMEOUT_MS = 30_000

export function liveness(t: Test, driver: StoreDriver): void {
  heartbeats(t, driver)
  silence(t, driver)
  returning(t, driver)
  clocks(t, driver)
}

function heartbeats(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a heartbeat sets when the participant was last seen, and nothing else', async (t, store) => {
    const roomId = await openRoomWith(store)
    const before = await store.getParticipant(roomId, 'alice')
    const { record, returned } = await store.heartbeat(roomId, 'alice', FROM_HERS, 2000)
    t.equal(returned, false)
    t.strictSame(record, { ...before, participant: { ...before.participant, lastSeen: 2000 } })
    t.strictSame(await store.getParticipant(roomId, 'alice'), record)
  })

  test('a heartbeat leaves the others alone', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.heartbeat(roomId, 'alice', ALICE, 2000)
    t.equal((await showing(store, roomId, 'bob')).lastSeen, 1000)
  })
}

function silence(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('somebody is silent after more than the timeout, not before', async (t, store) => {
    const roomId = await openRoomWith(store)
    t.strictSame(await store.takeSilent(1000 + TIMEOUT_MS, TIMEOUT_MS), [])
    t.equal((await showing(store, roomId, 'alice')).status, 'online')
    t.strictSame(idsOf(await store.takeSilent(1001 + TIMEOUT_MS, TIMEOUT_MS)), ['alice'])
    t.equal((await showing(store, roomId, 'alice')).status, 'offline')
  })

  test('it is handed out once, as it is kept', async (t, store) => {
    const roomId = await openRoomWith(store)
    const before = await store.getParticipant(roomId, 'alice')
    const silent = await store.takeSilent(100_000, TIMEOUT_MS)
    t.strictSame(silent, [{ ...before, participant: { ...before.participant, status: 'offline' } }])
    t.strictSame(await store.listParticipants(roomId), silent)
    t.strictSame(await store.takeSilent(200_000, TIMEOUT_MS), [])
  })

  test('a paused participant falls silent like any other', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    t.strictSame(idsOf(await store.takeSilent(100_000, TIMEOUT_MS)), ['alice'])
    t.match(await showing(store, roomId, 'alice'), { status: 'offline' })
  })

  test('those who were heard stay, those who were not go, in every room', async (t, store) => {
    const rooms = [await openRoom(store), await openRoom(store)]
    for (const [index, roomId] of rooms.entries()) {
      for (const id of [`quiet${index}`, `loud${index}`]) await joinAs(store, roomId, id)
    }
    for (const [index, roomId] of rooms.entries()) {
      await store.heartbeat(roomId, `loud${index}`, byToken(`loud${index}-token`), 50_000)
    }
    t.strictSame(idsOf(await store.takeSilent(50_001, TIMEOUT_MS)), ['quiet0', 'quiet1'])
  })

  test('a change is no sign of life', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.updateParticipant(roomId, 'alice', { slots: 2 })
    t.strictSame(idsOf(await store.takeSilent(100_000, TIMEOUT_MS)), ['alice', 'bob'])
  })
}

function returning(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a heartbeat brings somebody back, and says so once', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(100_000, TIMEOUT_MS)
    const first = await store.heartbeat(roomId, 'alice', ALICE, 100_001)
    const second = await store.heartbeat(roomId, 'alice', ALICE, 100_002)
    t.strictSame([first.returned, second.returned], [true, false])
    t.match(first.record.participant, { status: 'online', lastSeen: 100_001 })
  })

  test('who came back falls silent again', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(100_000, TIMEOUT_MS)
    await store.heartbeat(roomId, 'alice', ALICE, 100_001)
    t.strictSame(await store.takeSilent(100_001 + TIMEOUT_MS, TIMEOUT_MS), [])
    t.strictSame(idsOf(await store.takeSilent(100_002 + TIMEOUT_MS, TIMEOUT_MS)), ['alice'])
  })

  test('who joins again is as new', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(100_000, TIMEOUT_MS)
    await store.join(roomId, newcomer({ at: 100_001 }), ALICE)
    t.match(await showing(store, roomId, 'alice'), { status: 'online', lastSeen: 100_001 })
    t.strictSame(await store.takeSilent(100_002, TIMEOUT_MS), [])
  })
}

function clocks(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('who was last seen far in the future is silent too: the clock was set back', async (t, store) => {
    await openRoomWith(store, { at: 500_000 })
    t.strictSame(await store.takeSilent(500_000 - TIMEOUT_MS, TIMEOUT_MS), [])
    t.strictSame(idsOf(await store.takeSilent(499_999 - TIMEOUT_MS, TIMEOUT_MS)), ['alice'])
  })

  // After the clock was set back, the order of being heard is not the order of the times any more.
  test('who is silent is found behind one who is not, whatever the order of their times', async (t, store) => {
    const roomId = await openRoom(store)
    for (const [id, at] of Object.entries({ near: 100_000, early: 60_000, late: 400_000, last: 99_000 })) {
      await store.join(roomId, newcomer({ id, at }), NOBODY)
    }
    t.strictSame(idsOf(await store.takeSilent(100_000, TIMEOUT_MS)), ['early', 'late'])
    t.strictSame(await store.takeSilent(100_000, TIMEOUT_MS), [])
  })
}
