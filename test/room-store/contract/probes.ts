import type { Test } from 'tap'
import type { ParticipantRecord, RoomStore } from '../../../plugins/room-store/store.ts'
import {
  ALICE,
  idsOf,
  joinAs,
  NOBODY,
  newcomer,
  openRoom,
  openRoomWith,
  type StoreDriver,
  showing,
  storeTests,
  times,
} from './kit.ts'

const LEASE_MS = 5000

export function probes(t: Test, driver: StoreDriver): void {
  turns(t, driver)
  goodFindings(t, driver)
  badFindings(t, driver)
  overtaken(t, driver)
}

/** A room with a probed Alice, and her record as it was handed out for probing. */
async function handedOut(store: RoomStore): Promise<{ roomId: string; probed: ParticipantRecord }> {
  const roomId = await openRoomWith(store, { liveness: 'probe' })
  const [probed] = await store.takeDueProbes(1000, LEASE_MS, 10)
  return { roomId, probed: probed as ParticipantRecord }
}

function turns(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('only those who asked for it are probed, and at once', async (t, store) => {
    const roomId = await openRoomWith(store, { liveness: 'probe' })
    await joinAs(store, roomId, 'bob', { liveness: 'heartbeat' })
    await joinAs(store, roomId, 'carol')
    t.strictSame(await store.takeDueProbes(1000, LEASE_MS, 10), [await store.getParticipant(roomId, 'alice')])
  })

  test('a probe is handed out anew when its lease has run out', async (t, store) => {
    await handedOut(store)
    t.strictSame(await store.takeDueProbes(999 + LEASE_MS, LEASE_MS, 10), [])
    t.strictSame(idsOf(await store.takeDueProbes(1000 + LEASE_MS, LEASE_MS, 10)), ['alice'])
  })

  test('a finding says when the next one is due', async (t, store) => {
    const { probed } = await handedOut(store)
    await store.recordProbe(probed, { at: 1100, nextAt: 20_000 })
    t.strictSame(await store.takeDueProbes(19_999, LEASE_MS, 10), [])
    t.strictSame(idsOf(await store.takeDueProbes(20_000, LEASE_MS, 10)), ['alice'])
  })

  test('not more than the limit at once, and everybody in turn', async (t, store) => {
    const roomId = await openRoom(store)
    const ids = times(5, (index) => `p${index}`)
    for (const id of ids) await joinAs(store, roomId, id, { liveness: 'probe' })
    const handed = []
    for (let round = 0; round < 3; round++) handed.push(idsOf(await store.takeDueProbes(1000, LEASE_MS, 2)))
    t.strictSame(
      handed.map(({ length }) => length),
      [2, 2, 1],
    )
    t.strictSame(handed.flat().sort(), ids)
  })

  test('who is away is probed too', async (t, store) => {
    await openRoomWith(store, { liveness: 'probe' })
    await store.takeSilent(100_000, 1000)
    t.strictSame(idsOf(await store.takeDueProbes(100_000, LEASE_MS, 10)), ['alice'])
  })

  test('who is gone is not', async (t, store) => {
    const roomId = await openRoomWith(store, { liveness: 'probe' })
    await store.leave(roomId, 'alice', ALICE)
    t.strictSame(await store.takeDueProbes(9_000_000, LEASE_MS, 10), [])
  })

  test('nor who came back with heartbeats', async (t, store) => {
    const roomId = await openRoomWith(store, { liveness: 'probe' })
    await store.join(roomId, newcomer({ liveness: 'heartbeat' }), ALICE)
    t.strictSame(await store.takeDueProbes(9_000_000, LEASE_MS, 10), [])
  })
}

function goodFindings(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('an answer is a sign of life', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    const result = await store.recordProbe(probed, { at: 40_000, nextAt: 50_000 })
    t.equal(result?.record.participant.lastSeen, 40_000)
    t.notOk('change' in (result ?? {}))
    t.strictSame(await store.getParticipant(roomId, 'alice'), result?.record)
    t.strictSame(await store.takeSilent(41_000, 1000), [])
  })

  test('an answer brings back who was away, once', async (t, store) => {
    const { probed } = await handedOut(store)
    await store.takeSilent(100_000, 1000)
    const first = await store.recordProbe(probed, { at: 100_001, nextAt: 100_002 })
    const second = await store.recordProbe(probed, { at: 100_003, nextAt: 100_004 })
    t.match(first, { change: 'online', record: { participant: { status: 'online', lastSeen: 100_001 } } })
    t.equal(second?.change, undefined)
  })

  test('a paused participant comes back paused', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    await store.takeSilent(100_000, 1000)
    const result = await store.recordProbe(probed, { at: 100_001, nextAt: 100_002 })
    t.match(result, { change: 'online', record: { participant: { status: 'busy', paused: true } } })
  })
}

function badFindings(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)
  const refused = { at: 2000, nextAt: 3000, failure: 'Connection refused' }

  test('a failure is noted, and is no sign of life', async (t, store) => {
    const { probed } = await handedOut(store)
    const result = await store.recordProbe(probed, refused)
    t.match(result?.record, { probeFailure: 'Connection refused', participant: { status: 'online', lastSeen: 1000 } })
    t.equal(result?.change, undefined)
  })

  test('who then falls silent shows why', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.recordProbe(probed, refused)
    await store.takeSilent(100_000, 1000)
    t.match(await showing(store, roomId, 'alice'), { status: 'offline', offlineReason: 'Connection refused' })
  })

  test('a final failure takes it offline at once, and says so once', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    const first = await store.recordProbe(probed, { ...refused, isFinal: true })
    const second = await store.recordProbe(probed, { ...refused, isFinal: true })
    t.strictSame([first?.change, second?.change], ['offline', undefined])
    t.match(await showing(store, roomId, 'alice'), { status: 'offline', offlineReason: 'Connection refused' })
    t.strictSame(await store.takeSilent(100_000, 1000), [])
  })

  test('who went offline by a probe expires like anybody else', async (t, store) => {
    const { probed } = await handedOut(store)
    await store.recordProbe(probed, { ...refused, isFinal: true })
    t.strictSame(await store.takeExpired(12_000, 10_000), [])
    t.strictSame(idsOf(await store.takeExpired(12_001, 10_000)), ['alice'])
  })

  test('while it is away, the reason is what the last probe found', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.recordProbe(probed, { ...refused, isFinal: true })
    await store.recordProbe(probed, { ...refused, at: 4000, failure: 'Host unreachable' })
    t.match(await showing(store, roomId, 'alice'), { status: 'offline', offlineReason: 'Host unreachable' })
  })

  test('an answer wipes out what was found before', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.recordProbe(probed, { ...refused, isFinal: true })
    const result = await store.recordProbe(probed, { at: 5000, nextAt: 6000 })
    t.notOk('probeFailure' in (result?.record ?? {}))
    t.notOk('offlineReason' in (await showing(store, roomId, 'alice')))
    await store.takeSilent(100_000, 1000)
    t.notOk('offlineReason' in (await showing(store, roomId, 'alice')))
  })
}

function overtaken(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)
  const answered = { at: 40_000, nextAt: 50_000 }

  test('a finding about somebody who has gone is dropped', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.leave(roomId, 'alice', ALICE)
    t.equal(await store.recordProbe(probed, answered), undefined)
    t.strictSame(await store.listParticipants(roomId), [])
  })

  test('a finding about somebody whose room has closed is dropped', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.closeRoom(roomId)
    t.equal(await store.recordProbe(probed, answered), undefined)
  })

  // The probe asked an endpoint that may not be the participant's any more.
  test('a finding about somebody who has joined anew is dropped', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    const elsewhere = { ...newcomer({ at: 2000 }), target: { origin: 'http://127.0.0.1:8080', basePath: '' } }
    await store.join(roomId, elsewhere, ALICE)
    t.equal(await store.recordProbe(probed, { ...answered, failure: 'x', isFinal: true }), undefined)
    t.match(await showing(store, roomId, 'alice'), { status: 'online', lastSeen: 2000 })
  })

  test('so it is when the newcomer has the same endpoint', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.leave(roomId, 'alice', ALICE)
    await store.join(roomId, newcomer({ at: 2000, token: 'another', address: '10.0.0.9' }), NOBODY)
    t.equal(await store.recordProbe(probed, { ...answered, failure: 'x', isFinal: true }), undefined)
    t.match(await showing(store, roomId, 'alice'), { status: 'online' })
  })

  test('a finding does not undo what was changed meanwhile', async (t, store) => {
    const { roomId, probed } = await handedOut(store)
    await store.updateParticipant(roomId, 'alice', { slots: 7, paused: true })
    const result = await store.recordProbe(probed, answered)
    t.match(result?.record.participant, { slots: 7, paused: true, status: 'busy', lastSeen: 40_000 })
    t.strictSame(await store.getParticipant(roomId, 'alice'), result?.record)
  })
}
