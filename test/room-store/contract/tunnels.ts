import type { Test } from 'tap'
import type { RoomStore } from '../../../plugins/room-store/store.ts'
import { ALICE, FROM_HERS, joinAs, newcomer, openRoom, type StoreDriver, storeTests } from './kit.ts'

const LEASE_MS = 5000

/** A room in which Alice waits for her tunnel. */
async function openRoomWithTunnel(store: RoomStore, more: { paused?: boolean } = {}): Promise<string> {
  const roomId = await openRoom(store)
  await store.join(roomId, newcomer({ liveness: 'tunnel', status: 'offline', ...more }), {})
  return roomId
}

const statusOf = async (store: RoomStore, roomId: string) =>
  (await store.getParticipant(roomId, 'alice')).participant.status

/** Participants that are reached through a tunnel: online while it stands. */
export function tunnels(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('who joins as offline is away, and is not counted as there', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    t.equal(await statusOf(store, roomId), 'offline')
    t.match(await store.census(), { participants: { online: 0, offline: 1 } })
    t.strictSame(await store.takeSilent(100_000, 30_000), [], 'it is not announced as gone: it never was there')
  })

  test('who joins as offline and never comes expires', async (t, store) => {
    await openRoomWithTunnel(store)
    t.strictSame(await store.takeExpired(2000, 1000), [])
    t.match(await store.takeExpired(2001, 1000), [{ participant: { id: 'alice' } }])
  })

  test('a heartbeat is no tunnel: it brings nobody back, but the token was used', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    const { returned, record } = await store.heartbeat(roomId, 'alice', ALICE, 2000)
    t.strictSame([returned, record.participant.status, record.owner.tokenUsed], [false, 'offline', true])
    await t.rejects(store.heartbeat(roomId, 'alice', FROM_HERS, 2001), { code: 'PTL_TOKEN_REQUIRED' })
  })

  test('a tunnel brings it online, once, and its end takes it offline, with the reason', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    const record = await store.getParticipant(roomId, 'alice')
    t.equal((await store.recordProbe(record, { at: 2000 }))?.change, 'online')
    t.equal((await store.recordProbe(record, { at: 3000 }))?.change, undefined)
    t.match(await store.getParticipant(roomId, 'alice'), { participant: { status: 'online', lastSeen: 3000 } })
    const ended = await store.recordProbe(record, { at: 4000, failure: 'Its tunnel broke', isFinal: true })
    t.match(ended, {
      change: 'offline',
      record: { participant: { status: 'offline', offlineReason: 'Its tunnel broke' } },
    })
  })

  test('nobody probes it', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    const record = await store.getParticipant(roomId, 'alice')
    await store.recordProbe(record, { at: 2000 })
    t.strictSame(await store.takeDueProbes(1_000_000, LEASE_MS, 10), [])
  })

  test('what is told of a tunnel of before says nothing of who joined anew', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    const before = await store.getParticipant(roomId, 'alice')
    await store.recordProbe(before, { at: 2000 })
    await store.join(roomId, newcomer({ at: 3000, liveness: 'tunnel', status: 'offline' }), ALICE)
    t.equal(await store.recordProbe(before, { at: 4000 }), undefined)
    t.equal(await statusOf(store, roomId), 'offline')
  })

  test('who paused, and joins anew without its tunnel, is offline and paused', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    const { participant } = await store.join(roomId, newcomer({ liveness: 'tunnel', status: 'offline' }), ALICE)
    t.match(participant, { status: 'offline', paused: true })
    const record = await store.getParticipant(roomId, 'alice')
    t.match(await store.recordProbe(record, { at: 2000 }), {
      record: { participant: { status: 'busy', paused: true } },
    })
  })

  test('others in the room are as before', async (t, store) => {
    const roomId = await openRoomWithTunnel(store)
    await joinAs(store, roomId, 'bob')
    t.match(await store.census(), { participants: { online: 1, offline: 1 } })
  })
}
