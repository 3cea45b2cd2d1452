import type { Test } from 'tap'
import {
  ALICE,
  FROM_HERS,
  idsIn,
  joinAs,
  NOBODY,
  newcomer,
  openRoom,
  openRoomWith,
  type StoreDriver,
  showing,
  storeTests,
} from './kit.ts'

export function joining(t: Test, driver: StoreDriver): void {
  entering(t, driver)
  order(t, driver)
  changing(t, driver)
  going(t, driver)
  strangers(t, driver)
}

function entering(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a newcomer is kept as it came', async (t, store) => {
    const roomId = await openRoom(store)
    const entry = newcomer({
      nickname: 'Ålice 🍲',
      models: ['llama3.2:3b', 'qwen3:8b'],
      specs: { gpu: 'RTX 4090', vram: 24 },
      config: { temperature: 0.1, stop: ['\n', '"'] },
      slots: 4,
    })
    const record = await store.join(roomId, entry, NOBODY)
    t.strictSame(record, { ...entry, roomId, key: record.key, liveness: 'heartbeat' })
    t.strictSame(await store.getParticipant(roomId, 'alice'), record)
    t.strictSame(await store.listParticipants(roomId), [record])
  })

  test('the same id in two rooms is two participants', async (t, store) => {
    const first = await openRoomWith(store, { nickname: 'first' })
    const second = await openRoomWith(store, { nickname: 'second' })
    const keys = [await store.getParticipant(first, 'alice'), await store.getParticipant(second, 'alice')]
    t.not(keys[0]?.key, keys[1]?.key)
    await store.leave(first, 'alice', ALICE)
    t.equal((await showing(store, second, 'alice')).nickname, 'second')
  })

  test('ids that look alike are different participants', async (t, store) => {
    const roomId = await openRoom(store)
    const ids = ['a', 'A', 'a.', 'a:b', 'a-b', 'a_b', '-', '_', 'constructor', '__proto__', 'a'.repeat(64)]
    for (const id of ids) await joinAs(store, roomId, id)
    t.strictSame(await idsIn(store, roomId), ids)
    t.equal(new Set((await store.listParticipants(roomId)).map(({ key }) => key)).size, ids.length)
  })

  test('nicknames, models and endpoints may repeat', async (t, store) => {
    const roomId = await openRoom(store)
    for (const id of ['a', 'b']) await joinAs(store, roomId, id, { nickname: 'Same', model: 'same' })
    t.strictSame(await idsIn(store, roomId), ['a', 'b'])
  })
}

function order(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('participants are listed in the order of joining, whatever their times and ids', async (t, store) => {
    const roomId = await openRoom(store)
    for (const id of ['dora', 'bob', 'eve', 'alice']) await joinAs(store, roomId, id)
    t.strictSame(await idsIn(store, roomId), ['dora', 'bob', 'eve', 'alice'])
  })

  test('heartbeats, silence and changes move nobody', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.heartbeat(roomId, 'alice', ALICE, 50_000)
    await store.takeSilent(50_000, 30_000)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    t.strictSame(await idsIn(store, roomId), ['alice', 'bob'])
  })

  test('who joins again comes last', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    await store.join(roomId, newcomer({ at: 2000 }), ALICE)
    t.strictSame(await idsIn(store, roomId), ['bob', 'alice'])
  })
}

function changing(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a change replaces what it names', async (t, store) => {
    const roomId = await openRoomWith(store, { config: { seed: 1 }, specs: { ram: 8 } })
    const before = await store.getParticipant(roomId, 'alice')
    const change = { models: ['b', 'a'], config: { top_p: 1 }, specs: { cpu: 'M4' }, slots: 2 }
    const record = await store.updateParticipant(roomId, 'alice', change)
    t.strictSame(record, { ...before, participant: { ...before.participant, ...change, model: 'b' } })
    t.strictSame(await store.getParticipant(roomId, 'alice'), record)
  })

  test('what a change does not name stays', async (t, store) => {
    const over = { models: ['a', 'b'], config: { seed: 1 }, specs: { ram: 8 }, slots: 3 }
    const roomId = await openRoomWith(store, over)
    t.match(await store.updateParticipant(roomId, 'alice', {}), { participant: over })
    t.match(await store.updateParticipant(roomId, 'alice', { slots: 1 }), { participant: { ...over, slots: 1 } })
  })

  test('a paused participant is busy, and online again afterwards', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    t.match(await showing(store, roomId, 'alice'), { status: 'busy', paused: true })
    await store.updateParticipant(roomId, 'alice', { paused: false })
    const resumed = await showing(store, roomId, 'alice')
    t.equal(resumed.status, 'online')
    t.notOk('paused' in resumed)
  })

  test('a pause outlasts other changes and heartbeats', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.updateParticipant(roomId, 'alice', { paused: true })
    await store.updateParticipant(roomId, 'alice', { slots: 2 })
    await store.heartbeat(roomId, 'alice', ALICE, 2000)
    t.match(await showing(store, roomId, 'alice'), { status: 'busy', paused: true, slots: 2 })
  })

  test('a participant that is away stays away when it is changed', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(100_000, 30_000)
    await store.updateParticipant(roomId, 'alice', { paused: true, slots: 2 })
    t.match(await showing(store, roomId, 'alice'), { status: 'offline', slots: 2 })
    await store.heartbeat(roomId, 'alice', ALICE, 100_001)
    t.match(await showing(store, roomId, 'alice'), { status: 'busy', paused: true })
  })
}

function going(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('who leaves is handed back, and gone', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'bob')
    const record = await store.getParticipant(roomId, 'alice')
    t.strictSame(await store.leave(roomId, 'alice', ALICE), record)
    t.strictSame(await idsIn(store, roomId), ['bob'])
  })

  test('who is removed is handed back, and gone, whoever it belongs to', async (t, store) => {
    const roomId = await openRoomWith(store)
    const record = await store.getParticipant(roomId, 'alice')
    t.strictSame(await store.removeParticipant(roomId, 'alice'), record)
    t.strictSame(await idsIn(store, roomId), [])
  })

  test('an id that was left is free for anybody', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.leave(roomId, 'alice', FROM_HERS)
    const { owner } = await joinAs(store, roomId, 'alice', { token: 'another' })
    t.strictSame(owner, newcomer({ token: 'another', address: null }).owner)
    await t.rejects(store.leave(roomId, 'alice', ALICE), { code: 'PTL_TOKEN_REQUIRED' })
  })

  test('who is gone does not fall silent', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.leave(roomId, 'alice', ALICE)
    t.strictSame(await store.takeSilent(100_000, 1), [])
  })
}

function strangers(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a room that does not exist takes nobody, knows nobody and loses nobody', async (t, store) => {
    const code = 'PTL_ROOM_NOT_FOUND'
    await t.rejects(store.join('nowhere', newcomer(), NOBODY), { code })
    await t.rejects(store.getParticipant('nowhere', 'alice'), { code })
    await t.rejects(store.updateParticipant('nowhere', 'alice', {}), { code })
    await t.rejects(store.leave('nowhere', 'alice', ALICE), { code })
    await t.rejects(store.removeParticipant('nowhere', 'alice'), { code })
    await t.rejects(store.heartbeat('nowhere', 'alice', ALICE, 1), { code })
  })

  test('a participant that is not there can’t be read, changed, heard or sent away', async (t, store) => {
    const roomId = await openRoomWith(store)
    const code = 'PTL_PARTICIPANT_NOT_FOUND'
    await t.rejects(store.getParticipant(roomId, 'bob'), { code })
    await t.rejects(store.updateParticipant(roomId, 'bob', {}), { code })
    await t.rejects(store.leave(roomId, 'bob', ALICE), { code })
    await t.rejects(store.removeParticipant(roomId, 'bob'), { code })
    await t.rejects(store.heartbeat(roomId, 'bob', ALICE, 1), { code })
  })
}
