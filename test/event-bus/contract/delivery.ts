import type { Test } from 'tap'
import { type BusDriver, busTests, OTHER_ROOM, ROOM, tell, tellAll, tellFeed, tellMixed } from './kit.ts'

export function delivery(t: Test, driver: BusDriver): void {
  order(t, driver)
  scope(t, driver)
}

function order(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('events come in the order in which they were published', async (t, { bus, read }) => {
    const reader = read()
    const names = Array.from({ length: 30 }, (_, index) => `e${index}`)
    for (const name of names) tell(bus, name)
    t.strictSame((await reader.has(30)).seen, names)
  })

  test('a room’s and the hub’s events come in one order', async (t, { bus, read }) => {
    const reader = read()
    const names = tellMixed(bus, 20)
    t.strictSame((await reader.has(20)).seen, names)
  })

  test('what was published before somebody came is not told', async (t, { bus, read }) => {
    tell(bus, 'before')
    tellAll(bus, 'before')
    const reader = read()
    tell(bus, 'after')
    t.strictSame((await reader.has(1)).seen, ['after'])
  })
}

function scope(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a room’s events go to those who read that room, and to nobody else', async (t, { bus, read }) => {
    const [here, there, feed] = [read(), read({ roomId: OTHER_ROOM }), read({ roomId: null })]
    tell(bus, 'here', ROOM)
    tell(bus, 'there', OTHER_ROOM)
    tellAll(bus, 'end')
    t.strictSame((await here.has(2)).seen, ['here', 'end'])
    t.strictSame((await there.has(2)).seen, ['there', 'end'])
    t.strictSame((await feed.has(1)).seen, ['end'])
  })

  test('what is meant for the feed too goes to the room and the feed, and to no other room', async (t, {
    bus,
    read,
  }) => {
    const [here, there, feed] = [read(), read({ roomId: OTHER_ROOM }), read({ roomId: null })]
    tellFeed(bus, 'here')
    tellAll(bus, 'end')
    t.strictSame((await here.has(2)).seen, ['here', 'end'])
    t.strictSame((await feed.has(2)).seen, ['here', 'end'])
    t.strictSame((await there.has(1)).seen, ['end'])
  })

  test('the feed merges what comes from rooms and from the hub', async (t, { bus, read }) => {
    const feed = read({ roomId: null })
    tellFeed(bus, 'a')
    tellAll(bus, 'b')
    tellFeed(bus, 'c', OTHER_ROOM)
    tellAll(bus, 'd')
    t.strictSame((await feed.has(4)).seen, ['a', 'b', 'c', 'd'])
  })

  test('nothing comes after somebody has gone', async (t, { bus, read }) => {
    const [gone, staying] = [read(), read()]
    tell(bus, 'a')
    await gone.has(1)
    gone.close()
    tell(bus, 'b')
    tellAll(bus, 'c')
    bus.beat()
    await staying.has(3)
    t.strictSame(gone.seen, ['a'])
    t.strictSame([gone.comments, gone.farewells], [[], []])
  })
}
