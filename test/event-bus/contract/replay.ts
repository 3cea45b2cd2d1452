import type { Test } from 'tap'
import {
  type BusDriver,
  busTests,
  HISTORY,
  OTHER_ROOM,
  type Reader,
  tell,
  tellAll,
  tellFeed,
  tellMixed,
} from './kit.ts'

export function replay(t: Test, driver: BusDriver): void {
  resuming(t, driver)
  extent(t, driver)
}

async function greeted(reader: Reader): Promise<string> {
  await reader.until(() => reader.frames.length > 0, 'the greeting')
  return reader.frames[0]?.id ?? ''
}

function resuming(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('behind every id comes exactly the rest, as it came the first time', async (t, { bus, read }) => {
    const live = read()
    tellMixed(bus, HISTORY)
    await live.has(HISTORY)
    for (const [index, { id }] of live.frames.entries()) {
      const rest = live.frames.slice(index + 1)
      const again = await read({ lastEventId: id }).has(rest.length)
      t.strictSame(again.events, rest, `behind frame ${index}`)
    }
  })

  test('the room’s and the hub’s events are merged in the order of publishing', async (t, { bus, read }) => {
    const id = await greeted(read())
    for (const name of ['r1', 'r2']) tell(bus, name)
    for (const name of ['h3', 'h4']) tellAll(bus, name)
    tell(bus, 'r5')
    tellAll(bus, 'h6')
    t.strictSame((await read({ lastEventId: id }).has(6)).seen, ['r1', 'r2', 'h3', 'h4', 'r5', 'h6'])
  })

  test('what comes live follows what was missed', async (t, { bus, read }) => {
    const id = await greeted(read())
    tell(bus, 'missed')
    const reader = read({ lastEventId: id })
    tellAll(bus, 'live')
    t.strictSame((await reader.has(2)).seen, ['missed', 'live'])
  })

  test('who has missed nothing gets nothing, and no gap', async (t, { bus, read }) => {
    const live = read()
    tell(bus, 'a')
    const reader = read({ lastEventId: (await live.has(1)).lastId })
    tell(bus, 'next')
    t.strictSame((await reader.has(1)).seen, ['next'])
  })

  test('who comes back and is cut off again loses nothing', async (t, { bus, read }) => {
    const first = read()
    tellMixed(bus, 3)
    await first.has(1)
    const second = read({ lastEventId: first.frames[1]?.id ?? '' })
    const third = read({ lastEventId: await greeted(second) })
    t.strictSame((await third.has(2)).seen, ['h2', 'r3'])
  })

  test('an id that is empty is none', async (t, { bus, read }) => {
    tell(bus, 'before')
    const reader = read({ lastEventId: '' })
    tell(bus, 'next')
    t.strictSame((await reader.has(1)).seen, ['next'])
  })

  test('the feed is replayed too', async (t, { bus, read }) => {
    const id = await greeted(read({ roomId: null }))
    tellFeed(bus, 'a')
    tellAll(bus, 'b')
    tell(bus, 'not for the feed')
    tellFeed(bus, 'c', OTHER_ROOM)
    t.strictSame((await read({ roomId: null, lastEventId: id }).has(3)).seen, ['a', 'b', 'c'])
  })
}

function extent(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a whole history is replayed', async (t, { bus, read }) => {
    const id = await greeted(read())
    const names = Array.from({ length: HISTORY }, (_, index) => `e${index}`)
    for (const name of names) tell(bus, name)
    t.strictSame((await read({ lastEventId: id }).has(HISTORY)).seen, names)
  })

  test('a room’s history is its own: what happens elsewhere does not use it up', async (t, { bus, read }) => {
    const id = await greeted(read())
    tell(bus, 'missed')
    for (let count = 0; count < 3 * HISTORY; count++) tell(bus, 'elsewhere', OTHER_ROOM)
    t.strictSame((await read({ lastEventId: id }).has(1)).seen, ['missed'])
  })

  test('the history goes round and round without losing its order', async (t, { bus, read }) => {
    const live = read()
    for (let round = 0; round < 5 * HISTORY; round++) {
      tellMixed(bus, 3)
      await live.has(3 * (round + 1))
      const again = await read({ lastEventId: live.frames.at(-4)?.id ?? '' }).has(3)
      t.strictSame(again.events, live.frames.slice(-3))
    }
  })
}
