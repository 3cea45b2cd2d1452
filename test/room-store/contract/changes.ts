import type { Test } from 'tap'
import { hashToken } from '../../../plugins/access/tokens.ts'
import { NO_ALIASES, readAliases } from '../../../schemas/aliases.ts'
import { ALICE, joinAs, newRoom, openRoom, openRoomWith, type StoreDriver, storeTests } from './kit.ts'

export function changes(t: Test, driver: StoreDriver): void {
  viewing(t, driver)
  updating(t, driver)
  closing(t, driver)
}

function viewing(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a view adds the count, and whether there is a password', async (t, store) => {
    const { room } = await store.createRoom(newRoom({ passwordHash: hashToken('secret'), listed: false }))
    await joinAs(store, room.id, 'alice')
    const view = await store.viewRoom(room.id)
    t.strictSame({ ...view }, { ...room, participantCount: 1, protected: true, listed: false, aliases: {} })
  })

  test('an open room is shown as unprotected', async (t, store) => {
    t.match(await store.viewRoom(await openRoom(store)), { participantCount: 0, protected: false, listed: true })
  })

  test('a room that does not exist has no view', async (t, store) => {
    await t.rejects(store.viewRoom('nobody'), { code: 'PTL_ROOM_NOT_FOUND' })
  })
}

function updating(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('what a change names is replaced, the rest stays', async (t, store) => {
    const before = await store.createRoom(newRoom({ passwordHash: hashToken('a'), defaults: { seed: 1, top_p: 1 } }))
    const { room } = before
    const { record } = await store.updateRoom(room.id, { name: 'Renamed', defaults: { temperature: 0 } })
    t.strictSame(record, { ...before, room: { ...room, name: 'Renamed' }, defaults: { temperature: 0 } })
    t.strictSame(await store.findRoom(room.code), record)
  })

  test('aliases are replaced as a whole, and shown', async (t, store) => {
    const { room } = await store.createRoom(newRoom())
    await store.updateRoom(room.id, { aliases: readAliases({ 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'], old: 'x' }) })
    await store.updateRoom(room.id, { name: 'Renamed' })
    t.strictSame((await store.viewRoom(room.id)).aliases, { 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'], old: ['x'] })
    const { record, before } = await store.updateRoom(room.id, { aliases: readAliases({ 東京: 'b' }) })
    t.strictSame([...record.aliases], [['東京', ['b']]])
    t.equal(before.aliases.size, 2)
    t.strictSame([...((await store.findRoom(room.code))?.aliases ?? [])], [['東京', ['b']]])
    await store.updateRoom(room.id, { aliases: NO_ALIASES })
    t.strictSame((await store.viewRoom(room.id)).aliases, {})
  })

  test('aliases keep their order, and that of their models', async (t, store) => {
    const { room } = await store.createRoom(newRoom())
    const aliases = readAliases({ z: ['3', '1', '2'], a: 'x', m: ['b', 'a'] })
    const { record } = await store.updateRoom(room.id, { aliases })
    t.strictSame([...record.aliases], [...aliases])
  })

  test('aliases of names that every object has are aliases like others', async (t, store) => {
    const { room } = await store.createRoom(newRoom())
    const aliases = readAliases(JSON.parse('{"__proto__": ["a"], "constructor": ["b"], "toString": ["c"]}'))
    const { record } = await store.updateRoom(room.id, { aliases })
    t.strictSame([...record.aliases], [...aliases])
    const shown = (await store.viewRoom(room.id)).aliases
    t.equal(JSON.stringify(shown), '{"__proto__":["a"],"constructor":["b"],"toString":["c"]}')
    t.strictSame([...(await store.createRoom(newRoom())).aliases], [], 'and another room has none')
  })

  test('a change hands back what was before', async (t, store) => {
    const made = await store.createRoom(newRoom())
    const { record, before } = await store.updateRoom(made.room.id, { listed: false })
    t.strictSame(before, made)
    t.equal(record.listed, false)
  })

  test('a password is set, replaced and taken away', async (t, store) => {
    const roomId = await openRoom(store)
    const set = await store.updateRoom(roomId, { passwordHash: hashToken('a') })
    const replaced = await store.updateRoom(roomId, { passwordHash: hashToken('b') })
    const kept = await store.updateRoom(roomId, { name: 'x' })
    const removed = await store.updateRoom(roomId, { passwordHash: null })
    t.strictSame(
      [set, replaced, kept, removed].map(({ record }) => record.passwordHash),
      [hashToken('a'), hashToken('b'), hashToken('b'), undefined],
    )
    t.notOk('passwordHash' in removed.record)
  })

  test('a change of nothing changes nothing', async (t, store) => {
    const made = await store.createRoom(newRoom({ passwordHash: hashToken('a'), code: 'LUNCH' }))
    const { record } = await store.updateRoom(made.room.id, {})
    t.strictSame(record, made)
  })

  test('a room that does not exist can’t be changed', async (t, store) => {
    await t.rejects(store.updateRoom('nobody', { name: 'x' }), { code: 'PTL_ROOM_NOT_FOUND' })
  })
}

function closing(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a closed room is gone, with everybody in it', async (t, store) => {
    const made = await store.createRoom(newRoom())
    const roomId = made.room.id
    await joinAs(store, roomId, 'alice', { liveness: 'probe' })
    t.strictSame(await store.closeRoom(roomId), made)
    t.equal(await store.findRoom(made.room.code), undefined)
    t.strictSame(await store.listRooms(), { rooms: [] })
    await t.rejects(store.getParticipant(roomId, 'alice'), { code: 'PTL_ROOM_NOT_FOUND' })
    await t.rejects(store.heartbeat(roomId, 'alice', ALICE, 2000), { code: 'PTL_ROOM_NOT_FOUND' })
  })

  test('nobody of a closed room falls silent, expires or is probed', async (t, store) => {
    const roomId = await openRoomWith(store, { liveness: 'probe' })
    await joinAs(store, roomId, 'bob')
    await store.heartbeat(roomId, 'alice', ALICE, 100_000)
    t.equal((await store.takeSilent(100_000, 30_000)).length, 1)
    await store.closeRoom(roomId)
    t.strictSame(await store.takeSilent(9_000_000, 1), [])
    t.strictSame(await store.takeExpired(9_000_000, 1), [])
    t.strictSame(await store.takeDueProbes(9_000_000, 1, 10), [])
    t.strictSame(await store.takeIdleRooms(9_000_000, 1), [])
  })

  test('another room stays as it is', async (t, store) => {
    const first = await openRoomWith(store)
    const second = await openRoomWith(store)
    await store.closeRoom(first)
    t.equal((await store.listParticipants(second)).length, 1)
    t.match(await store.listRooms(), { rooms: [{ id: second, participantCount: 1 }] })
  })

  test('a room is closed once', async (t, store) => {
    const roomId = await openRoom(store)
    await store.closeRoom(roomId)
    await t.rejects(store.closeRoom(roomId), { code: 'PTL_ROOM_NOT_FOUND' })
  })
}
