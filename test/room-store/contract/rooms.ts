import type { Test } from 'tap'
import { hashToken } from '../../../plugins/access/tokens.ts'
import { newRoom, type StoreDriver, storeTests, times } from './kit.ts'

/** 0 O 1 I and L look like each other. */
const MADE_UP_CODE = /^[A-HJKMNP-Z2-9]{6}$/

export function rooms(t: Test, driver: StoreDriver): void {
  making(t, driver)
  finding(t, driver)
  customCodes(t, driver)
}

function making(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a new room has an id, a code without look-alikes and what it was made from', async (t, store) => {
    const from = newRoom({ name: 'Büro 東京', defaults: { temperature: 0.5, stop: ['\n'] }, createdAt: 1234 })
    const { room, ...hidden } = await store.createRoom(from)
    t.match(room.id, /^[\w-]{21}$/)
    t.match(room.code, MADE_UP_CODE)
    t.strictSame(room, { id: room.id, code: room.code, name: 'Büro 東京', hostId: from.hostId, createdAt: 1234 })
    t.match(hidden, { hostTokenHash: from.hostTokenHash, defaults: from.defaults, listed: true, hasCustomCode: false })
  })

  test('a new room has no aliases', async (t, store) => {
    const { room, aliases } = await store.createRoom(newRoom())
    t.strictSame([...aliases], [])
    t.strictSame((await store.viewRoom(room.id)).aliases, {})
  })

  test('a room without a password has no hash at all', async (t, store) => {
    const open = await store.createRoom(newRoom())
    const closed = await store.createRoom(newRoom({ passwordHash: hashToken('secret') }))
    t.notOk('passwordHash' in open)
    t.equal(closed.passwordHash, hashToken('secret'))
  })

  test('no two rooms share an id or a code', async (t, store) => {
    const records = await Promise.all(times(100, () => store.createRoom(newRoom())))
    t.equal(new Set(records.map(({ room }) => room.id)).size, 100)
    t.equal(new Set(records.map(({ room }) => room.code)).size, 100)
  })
}

function finding(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a room is found by its code in any case', async (t, store) => {
    const record = await store.createRoom(newRoom({ code: 'KITCHEN' }))
    await store.createRoom(newRoom())
    for (const code of ['KITCHEN', 'kitchen', 'KiTcHeN']) {
      t.strictSame(await store.findRoom(code), record, code)
      t.strictSame(await store.visitRoom(code, 2000), record, code)
    }
  })

  test('a code that is nobody’s finds nothing', async (t, store) => {
    await store.createRoom(newRoom({ code: 'KITCHEN' }))
    t.equal(await store.findRoom('KITCHEM'), undefined)
    t.equal(await store.visitRoom('KITCHEM', 2000), undefined)
  })

  // Upper case of ſ is S and of ß is SS: they must not find a room that nobody named.
  test('a text that can’t be a code finds nothing', async (t, store) => {
    await store.createRoom(newRoom({ code: 'KISS' }))
    const texts = ['', ' ', 'KIß', 'KIſS', 'KISS ', 'KISS\n', '%4BISS', '__proto__', 'constructor', 'K'.repeat(10_000)]
    for (const text of texts) {
      t.equal(await store.findRoom(text), undefined, JSON.stringify(text.slice(0, 20)))
      t.equal(await store.visitRoom(text, 2000), undefined, JSON.stringify(text.slice(0, 20)))
    }
  })
}

function customCodes(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('a code of one’s own choice is kept in upper case', async (t, store) => {
    const { room, hasCustomCode } = await store.createRoom(newRoom({ code: 'lunch2go' }))
    t.equal(room.code, 'LUNCH2GO')
    t.equal(hasCustomCode, true)
  })

  test('a code in use is refused, in any case', async (t, store) => {
    const { room } = await store.createRoom(newRoom())
    await store.createRoom(newRoom({ code: 'LUNCH' }))
    for (const code of ['LUNCH', 'lunch', room.code.toLowerCase()]) {
      await t.rejects(store.createRoom(newRoom({ code })), { code: 'PTL_CODE_TAKEN' }, code)
    }
  })

  test('the code of a closed room is free again', async (t, store) => {
    const first = await store.createRoom(newRoom({ code: 'LUNCH' }))
    await store.closeRoom(first.room.id)
    const second = await store.createRoom(newRoom({ code: 'LUNCH' }))
    t.not(second.room.id, first.room.id)
    t.strictSame(await store.findRoom('LUNCH'), second)
  })
}
