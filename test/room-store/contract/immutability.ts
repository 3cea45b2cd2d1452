import type { Test } from 'tap'
import type { RoomStore } from '../../../plugins/room-store/store.ts'
import { readAliases } from '../../../schemas/aliases.ts'
import { ALICE, joinAs, newcomer, newRoom, openRoomWith, type StoreDriver, storeTests } from './kit.ts'

/** Who holds a record may go on reading it while others write: what it reads must be of one moment. */
export function immutability(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  for (const [name, write] of Object.entries(WRITES)) {
    test(`${name} leaves the records and lists that were handed out as they were`, async (t, store) => {
      const roomId = await openRoomWith(store, { liveness: 'probe' })
      await joinAs(store, roomId, 'bob')
      const list = await store.listParticipants(roomId)
      const copy = structuredClone(list)
      await write(store, roomId)
      t.strictSame(list, copy)
      t.notSame(await store.listParticipants(roomId), copy, 'and the write is there')
    })
  }

  test('a change of a room leaves the records that were handed out as they were', async (t, store) => {
    const made = await store.createRoom(newRoom({ defaults: { seed: 1 } }))
    const { rooms } = await store.listRooms()
    const copy = structuredClone({ made, rooms })
    await store.updateRoom(made.room.id, { name: 'Renamed', passwordHash: 'x', listed: false, defaults: { seed: 2 } })
    await store.updateRoom(made.room.id, { aliases: readAliases({ 'gpt-4o': 'x' }) })
    await joinAs(store, made.room.id, 'bob')
    t.strictSame({ made, rooms }, copy)
  })
}

const WRITES: Record<string, (store: RoomStore, roomId: string) => Promise<unknown>> = {
  'joining again': (store, roomId) => store.join(roomId, newcomer({ nickname: 'Again' }), ALICE),
  'somebody else’s joining': (store, roomId) => joinAs(store, roomId, 'carol'),
  'a heartbeat': (store, roomId) => store.heartbeat(roomId, 'alice', ALICE, 2000),
  silence: (store) => store.takeSilent(100_000, 1000),
  'a change': (store, roomId) => store.updateParticipant(roomId, 'alice', { models: ['x'], slots: 2, paused: true }),
  leaving: (store, roomId) => store.leave(roomId, 'alice', ALICE),
  removal: (store, roomId) => store.removeParticipant(roomId, 'bob'),
  expiry: async (store) => {
    await store.takeSilent(100_000, 1000)
    await store.takeExpired(900_000, 1000)
  },
  'a probe': async (store) => {
    for (const probed of await store.takeDueProbes(1000, 5000, 10)) {
      await store.recordProbe(probed, { at: 2000, nextAt: 3000, failure: 'Connection refused', isFinal: true })
    }
  },
}
