import type { Test } from 'tap'
import { ALICE, idsIn, joinAs, newcomer, openRoom, openRoomWith, type StoreDriver, storeTests } from './kit.ts'

/** A request names a model or a participant, in one field: the two kinds of names must not meet in a room. */
export function capture(t: Test, driver: StoreDriver): void {
  ids(t, driver)
  models(t, driver)
  freedom(t, driver)
}

function ids(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('an id that is a model on offer is refused, with and without the implied tag', async (t, store) => {
    const roomId = await openRoom(store)
    await joinAs(store, roomId, 'alice', { models: ['phi4', 'llama3:latest', 'qwen3'] })
    for (const id of ['phi4', 'llama3', 'llama3:latest', 'qwen3:latest']) {
      await t.rejects(joinAs(store, roomId, id), { code: 'PTL_ID_IS_MODEL' }, id)
    }
    t.strictSame(await idsIn(store, roomId), ['alice'])
  })

  test('an id that is one of its own models is refused', async (t, store) => {
    const roomId = await openRoom(store)
    const join = joinAs(store, roomId, 'llama3', { models: ['phi4', 'llama3:latest'] })
    await t.rejects(join, { code: 'PTL_ID_IS_MODEL' })
  })

  test('a model counts while its participant is away', async (t, store) => {
    const roomId = await openRoomWith(store, { model: 'phi4' })
    await store.takeSilent(100_000, 30_000)
    await t.rejects(joinAs(store, roomId, 'phi4'), { code: 'PTL_ID_IS_MODEL' })
  })
}

function models(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a model that is somebody’s id is refused, with and without the implied tag', async (t, store) => {
    const roomId = await openRoom(store)
    for (const id of ['phi4', 'qwen3:latest']) await joinAs(store, roomId, id)
    for (const model of ['phi4', 'phi4:latest', 'qwen3', 'qwen3:latest']) {
      const join = joinAs(store, roomId, 'bob', { models: ['harmless', model] })
      await t.rejects(join, { code: 'PTL_MODEL_IS_ID' }, model)
    }
    t.strictSame(await idsIn(store, roomId), ['phi4', 'qwen3:latest'])
  })

  test('a change must not bring such a model in, and then changes nothing', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'phi4')
    const before = await store.getParticipant(roomId, 'alice')
    const change = (model: string) => store.updateParticipant(roomId, 'alice', { models: ['x', model], slots: 2 })
    await t.rejects(change('phi4:latest'), { code: 'PTL_MODEL_IS_ID' })
    await t.rejects(change('alice'), { code: 'PTL_ID_IS_MODEL' })
    t.strictSame(await store.getParticipant(roomId, 'alice'), before)
  })

  test('an owner that comes back with such a model stays as it was', async (t, store) => {
    const roomId = await openRoomWith(store)
    await joinAs(store, roomId, 'phi4')
    const before = await store.getParticipant(roomId, 'alice')
    const again = newcomer({ model: 'phi4', token: 'second-token', at: 5000 })
    await t.rejects(store.join(roomId, again, ALICE), { code: 'PTL_MODEL_IS_ID' })
    t.strictSame(await store.getParticipant(roomId, 'alice'), before)
    t.strictSame(await idsIn(store, roomId), ['alice', 'phi4'])
  })
}

function freedom(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('other tags and other rooms are no clash', async (t, store) => {
    const roomId = await openRoomWith(store, { model: 'llama3:8b' })
    await joinAs(store, roomId, 'llama3')
    await joinAs(store, await openRoom(store), 'llama3:8b')
    t.strictSame(await idsIn(store, roomId), ['alice', 'llama3'])
  })

  test('a name is free again when nobody offers it any more', async (t, store) => {
    const roomId = await openRoomWith(store, { models: ['phi4', 'phi4:latest'] })
    await joinAs(store, roomId, 'bob', { model: 'phi4' })
    await store.updateParticipant(roomId, 'alice', { models: ['other'] })
    await t.rejects(joinAs(store, roomId, 'phi4'), { code: 'PTL_ID_IS_MODEL' })
    await store.removeParticipant(roomId, 'bob')
    await joinAs(store, roomId, 'phi4')
    t.strictSame(await idsIn(store, roomId), ['alice', 'phi4'])
  })

  test('a name is free again when its participant has come back without it', async (t, store) => {
    const roomId = await openRoomWith(store, { model: 'phi4' })
    await store.join(roomId, newcomer({ model: 'other' }), ALICE)
    await joinAs(store, roomId, 'phi4')
    t.strictSame(await idsIn(store, roomId), ['alice', 'phi4'])
  })

  test('an id is free as a model’s name when its participant has left', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.leave(roomId, 'alice', ALICE)
    await joinAs(store, roomId, 'bob', { model: 'alice' })
    t.strictSame(await idsIn(store, roomId), ['bob'])
  })
}
