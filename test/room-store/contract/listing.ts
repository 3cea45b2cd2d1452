import type { Test } from 'tap'
import { hashToken } from '../../../plugins/access/tokens.ts'
import type { RoomStore } from '../../../plugins/room-store/store.ts'
import { FROM_HERS, joinAs, newcomer, newRoom, openRoom, type StoreDriver, storeTests } from './kit.ts'

export function listing(t: Test, driver: StoreDriver): void {
  order(t, driver)
  content(t, driver)
  pages(t, driver)
}

function order(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a store without rooms lists none', async (t, store) => {
    t.strictSame(await store.listRooms(), { rooms: [] })
  })

  test('rooms are listed oldest first', async (t, store) => {
    for (const [index, name] of ['b', 'a', 'c'].entries()) await openRoom(store, { name, createdAt: 1000 + index })
    t.strictSame(await names(store), ['b', 'a', 'c'])
  })

  test('rooms of the same millisecond stay in the order in which they were made', async (t, store) => {
    for (const name of ['d', 'b', 'a', 'c']) await openRoom(store, { name })
    t.strictSame(await names(store), ['d', 'b', 'a', 'c'])
  })

  test('a change moves no room', async (t, store) => {
    const first = await openRoom(store, { name: 'first' })
    await openRoom(store, { name: 'second' })
    await store.updateRoom(first, { name: 'still first' })
    await joinAs(store, first, 'alice')
    t.strictSame(await names(store), ['still first', 'second'])
  })
}

function content(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a listed room shows what everybody may see, and nothing else', async (t, store) => {
    const { room } = await store.createRoom(newRoom({ passwordHash: hashToken('secret') }))
    t.strictSame(await store.listRooms(), { rooms: [{ ...room, participantCount: 0 }] })
  })

  test('participants are counted, offline ones included', async (t, store) => {
    const full = await openRoom(store)
    await openRoom(store)
    for (const id of ['alice', 'bob']) await joinAs(store, full, id)
    await store.takeSilent(100_000, 1000)
    t.strictSame(await counts(store), [2, 0])
    await store.removeParticipant(full, 'bob')
    t.strictSame(await counts(store), [1, 0])
  })

  test('a participant that joins again counts once', async (t, store) => {
    const roomId = await openRoom(store)
    for (let round = 0; round < 2; round++) await store.join(roomId, newcomer(), FROM_HERS)
    t.strictSame(await counts(store), [1])
  })

  test('an unlisted room is not listed, but found', async (t, store) => {
    const hidden = await store.createRoom(newRoom({ name: 'hidden', listed: false }))
    await openRoom(store, { name: 'shown' })
    t.strictSame(await names(store), ['shown'])
    t.strictSame(await store.findRoom(hidden.room.code), hidden)
  })
}

function pages(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('pages follow each other without a gap, and the last one has no cursor', async (t, store) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await openRoom(store, { name })
    t.strictSame(await pagesOf(store, 2), [['a', 'b'], ['c', 'd'], ['e']])
    t.strictSame(await pagesOf(store, 1), [['a'], ['b'], ['c'], ['d'], ['e']])
  })

  test('a last page that is just full has no cursor', async (t, store) => {
    for (const name of ['a', 'b', 'c', 'd']) await openRoom(store, { name })
    t.strictSame(await pagesOf(store, 2), [
      ['a', 'b'],
      ['c', 'd'],
    ])
    t.strictSame(await pagesOf(store, 4), [['a', 'b', 'c', 'd']])
  })

  test('unlisted rooms take no place on a page', async (t, store) => {
    for (const name of ['a', 'hidden', 'b', 'c', 'hidden']) await openRoom(store, { name, listed: name !== 'hidden' })
    t.strictSame(await pagesOf(store, 2), [['a', 'b'], ['c']])
    t.strictSame(await pagesOf(store, 3), [['a', 'b', 'c']])
  })

  test('a room that closes between two pages shifts no other one', async (t, store) => {
    const ids = []
    for (const name of ['a', 'b', 'c', 'd']) ids.push(await openRoom(store, { name }))
    const { cursor } = await store.listRooms({ limit: 2 })
    await store.closeRoom(ids[0] as string)
    await store.closeRoom(ids[1] as string)
    t.strictSame(await names(store, { cursor: cursor as string, limit: 2 }), ['c', 'd'])
  })

  test('a room that opens between two pages comes last', async (t, store) => {
    for (const name of ['a', 'b', 'c']) await openRoom(store, { name })
    const { cursor } = await store.listRooms({ limit: 2 })
    await openRoom(store, { name: 'd' })
    t.strictSame(await names(store, { cursor: cursor as string, limit: 9 }), ['c', 'd'])
  })

  test('a cursor without a limit gives the rest', async (t, store) => {
    for (const name of ['a', 'b', 'c']) await openRoom(store, { name })
    const { cursor } = await store.listRooms({ limit: 1 })
    t.strictSame(await names(store, { cursor: cursor as string }), ['b', 'c'])
  })

  test('a cursor that the store did not give out is refused', async (t, store) => {
    await openRoom(store)
    await openRoom(store)
    const { cursor = '' } = await store.listRooms({ limit: 1 })
    for (const wrong of ['', 'x', '0', '-1', `${cursor}${cursor}`, 'é', '%00', 'A'.repeat(10_000)]) {
      const title = JSON.stringify(wrong.slice(0, 40))
      await t.rejects(store.listRooms({ cursor: wrong, limit: 1 }), { code: 'PTL_INVALID_CURSOR' }, title)
    }
  })
}

async function names(store: RoomStore, page?: { limit?: number; cursor?: string }): Promise<string[]> {
  return (await store.listRooms(page)).rooms.map(({ name }) => name)
}

async function counts(store: RoomStore): Promise<number[]> {
  return (await store.listRooms()).rooms.map(({ participantCount }) => participantCount)
}

/** All pages, one after the other; a store that never ends is stopped. */
async function pagesOf(store: RoomStore, limit: number): Promise<string[][]> {
  const found: string[][] = []
  let cursor: string | undefined
  do {
    const page = await store.listRooms({ limit, ...(cursor === undefined ? {} : { cursor }) })
    found.push(page.rooms.map(({ name }) => name))
    cursor = page.cursor
  } while (cursor !== undefined && found.length < 100)
  return found
}
