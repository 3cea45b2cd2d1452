import type { Test } from 'tap'
import type { RoomStore } from '../../../plugins/room-store/store.ts'
import {
  ALICE,
  byToken,
  idsIn,
  idsOf,
  joinAs,
  NOBODY,
  newcomer,
  newRoom,
  openRoom,
  openRoomWith,
  outcomes,
  type StoreDriver,
  times,
} from './kit.ts'

const CROWD = 50

/** Picks the hub that a caller talks to: every other one talks to the peer. */
type PickHub = (index: number) => RoomStore

/** Many callers at once, through two hubs where the driver can be shared. */
export function concurrency(t: Test, driver: StoreDriver): void {
  const test = (name: string, body: (t: Test, hub: PickHub) => Promise<void>) =>
    t.test(name, async (t) => {
      const store = await driver.create()
      const peer = (await driver.createPeer?.(store)) ?? store
      t.teardown(() => Promise.all([...new Set([store, peer])].map((each) => each.close())))
      await body(t, (index) => (index % 2 === 0 ? store : peer))
    })

  races(test)
  sweeps(test)
}

type ConcurrencyTest = (name: string, body: (t: Test, hub: PickHub) => Promise<void>) => void

function races(test: ConcurrencyTest): void {
  test('of fifty strangers who join with one id, exactly one becomes its owner', async (t, hub) => {
    const roomId = await openRoom(hub(0))
    const { won, codes } = await outcomes(
      times(CROWD, (index) => joinAs(hub(index), roomId, 'alice', { token: `token-${index}` })),
    )
    t.equal(won.length, 1)
    t.strictSame(codes, ['PTL_PARTICIPANT_ID_TAKEN'])
    t.strictSame(await hub(1).listParticipants(roomId), won)
  })

  test('of fifty rooms with one code, exactly one is made', async (t, hub) => {
    const { won, codes } = await outcomes(times(CROWD, (index) => hub(index).createRoom(newRoom({ code: 'LUNCH' }))))
    t.equal(won.length, 1)
    t.strictSame(codes, ['PTL_CODE_TAKEN'])
    t.strictSame(await hub(1).findRoom('LUNCH'), won[0])
  })

  test('of an id and a model with one name, exactly one comes in', async (t, hub) => {
    const roomId = await openRoom(hub(0))
    const { won, codes } = await outcomes([
      joinAs(hub(0), roomId, 'alice', { model: 'phi4' }),
      joinAs(hub(1), roomId, 'phi4', { model: 'other' }),
    ])
    t.equal(won.length, 1)
    t.match(codes, [/^PTL_(ID_IS_MODEL|MODEL_IS_ID)$/])
  })

  test('a participant leaves once, whoever says so', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    const { won, codes } = await outcomes(times(CROWD, (index) => hub(index).leave(roomId, 'alice', ALICE)))
    t.equal(won.length, 1)
    t.strictSame(codes, ['PTL_PARTICIPANT_NOT_FOUND'])
  })

  test('a room closes once', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    const { won, codes } = await outcomes(times(CROWD, (index) => hub(index).closeRoom(roomId)))
    t.equal(won.length, 1)
    t.strictSame(codes, ['PTL_ROOM_NOT_FOUND'])
  })

  test('an owner that comes back fifty times at once is there once, and keeps its token', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    const entries = times(CROWD, (index) => newcomer({ token: `token-${index}` }))
    const { won } = await outcomes(entries.map((entry, index) => hub(index).join(roomId, entry, ALICE)))
    t.equal(won.length, CROWD)
    t.strictSame(await idsIn(hub(0), roomId), ['alice'])
    t.equal((await hub(1).heartbeat(roomId, 'alice', ALICE, 2000)).returned, false)
  })

  test('fifty who join with fifty ids are all there, in one order for everybody', async (t, hub) => {
    const roomId = await openRoom(hub(0))
    await Promise.all(times(CROWD, (index) => joinAs(hub(index), roomId, `p${index}`)))
    const ids = await idsIn(hub(0), roomId)
    t.equal(new Set(ids).size, CROWD)
    t.strictSame(await idsIn(hub(1), roomId), ids)
    t.match(await hub(0).viewRoom(roomId), { participantCount: CROWD })
  })

  test('a heartbeat does not bring back who has left', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    const beats = times(CROWD, (index) => hub(index).heartbeat(roomId, 'alice', ALICE, 2000 + index))
    const leaving = hub(0).leave(roomId, 'alice', ALICE)
    await outcomes([...beats, leaving.then((record) => ({ record, returned: false }))])
    t.strictSame(await hub(1).listParticipants(roomId), [])
    t.strictSame(await hub(1).takeSilent(9_000_000, 1), [])
  })

  test('changes of different fields at once are all kept', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    await Promise.all([
      hub(0).updateParticipant(roomId, 'alice', { slots: 3 }),
      hub(1).updateParticipant(roomId, 'alice', { config: { seed: 1 } }),
      hub(0).heartbeat(roomId, 'alice', ALICE, 7000),
      hub(1).updateParticipant(roomId, 'alice', { models: ['x'] }),
    ])
    const { participant } = await hub(1).getParticipant(roomId, 'alice')
    t.match(participant, { slots: 3, config: { seed: 1 }, models: ['x'], model: 'x', lastSeen: 7000 })
  })
}

function sweeps(test: ConcurrencyTest): void {
  test('each who falls silent is handed to exactly one of many sweeps', async (t, hub) => {
    const ids = await crowd(hub)
    const taken = await Promise.all(times(CROWD, (index) => hub(index).takeSilent(100_000, 30_000)))
    t.strictSame(idsOf(taken.flat()), ids)
  })

  test('each who expires is handed to exactly one of many sweeps', async (t, hub) => {
    const ids = await crowd(hub)
    await hub(0).takeSilent(100_000, 30_000)
    const taken = await Promise.all(times(CROWD, (index) => hub(index).takeExpired(900_000, 30_000)))
    t.strictSame(idsOf(taken.flat()), ids)
  })

  test('each idle room is handed to exactly one of many sweeps', async (t, hub) => {
    const made = await Promise.all(times(CROWD, (index) => hub(index).createRoom(newRoom())))
    const taken = await Promise.all(times(CROWD, (index) => hub(index).takeIdleRooms(900_000, 30_000)))
    const ids = (records: typeof made) => records.map(({ room }) => room.id).sort()
    t.strictSame(ids(taken.flat()), ids(made))
  })

  test('each due probe is handed to exactly one of many callers', async (t, hub) => {
    const ids = await crowd(hub)
    const taken = await Promise.all(times(CROWD, (index) => hub(index).takeDueProbes(1000, 5000, 3)))
    t.strictSame(idsOf(taken.flat()), ids)
    t.ok(taken.every(({ length }) => length <= 3))
  })

  test('of many heartbeats of one who was away, exactly one brings it back', async (t, hub) => {
    const roomId = await openRoomWith(hub(0))
    await hub(0).takeSilent(100_000, 30_000)
    const beats = await Promise.all(times(CROWD, (index) => hub(index).heartbeat(roomId, 'alice', ALICE, 100_001)))
    t.equal(beats.filter(({ returned }) => returned).length, 1)
  })

  test('a sweep and heartbeats at once agree on who is there', async (t, hub) => {
    const roomId = await openRoom(hub(0))
    const ids = times(CROWD, (index) => `p${index}`)
    await Promise.all(ids.map((id) => hub(0).join(roomId, newcomer({ id, token: id }), NOBODY)))
    const beats = ids.map((id, index) => hub(index).heartbeat(roomId, id, byToken(id), 100_000))
    const [silent, ...heard] = await Promise.all([hub(1).takeSilent(100_000, 30_000), ...beats])
    const returned = heard.filter((beat) => beat.returned).map(({ record }) => record)
    t.strictSame(idsOf(returned), idsOf(silent))
    const now = await hub(1).listParticipants(roomId)
    t.ok(now.every(({ participant }) => participant.status === 'online'))
  })
}

/** Fifty probed participants in one room. @returns their ids, sorted */
async function crowd(hub: PickHub): Promise<string[]> {
  const roomId = await openRoom(hub(0))
  const ids = times(CROWD, (index) => `p${index}`)
  for (const id of ids) await joinAs(hub(0), roomId, id, { liveness: 'probe' })
  return ids.sort()
}
