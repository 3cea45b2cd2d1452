import type { Test } from 'tap'
import { type BusDriver, busTests, OTHER_ROOM, ROOM, tell, tellAll } from './kit.ts'

export function endings(t: Test, driver: BusDriver): void {
  leaving(t, driver)
  ofRooms(t, driver)
  ofTheBus(t, driver)
}

function leaving(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('the size is how many there are', async (t, { bus, read }) => {
    t.equal(bus.size, 0)
    const readers = [read(), read(), read({ roomId: OTHER_ROOM }), read({ roomId: null })]
    t.equal(bus.size, 4)
    for (const reader of readers) reader.close()
    t.equal(bus.size, 0)
  })

  test('somebody goes once', async (t, { bus, read }) => {
    const [gone] = [read(), read()]
    gone?.close()
    gone?.close()
    t.equal(bus.size, 1)
  })

  test('who goes by itself is not told to go', async (t, { bus, read }) => {
    const reader = read()
    reader.close()
    bus.endRoom(ROOM, 'the room is closed')
    bus.close()
    t.strictSame(reader.farewells, [])
  })
}

function ofRooms(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('the end of a room ends its streams with a comment, and no others', async (t, { bus, read }) => {
    const [here, there, feed] = [read(), read({ roomId: OTHER_ROOM }), read({ roomId: null })]
    bus.endRoom(ROOM, 'the room is closed')
    t.strictSame((await here.hasEnded()).farewells, [': the room is closed\n\n'])
    tellAll(bus, 'next')
    await Promise.all([there.has(1), feed.has(1)])
    t.strictSame([there.farewells, feed.farewells, here.seen], [[], [], []])
    t.equal(bus.size, 2)
  })

  test('what was published before the end comes before it', async (t, { bus, read }) => {
    const reader = read()
    tell(bus, 'last')
    bus.endRoom(ROOM, 'the room is closed')
    t.strictSame((await reader.hasEnded()).seen, ['last'])
  })

  test('who is behind is ended too', async (t, { bus, read }) => {
    const slow = read({ room: 1 })
    bus.endRoom(ROOM, 'the room is closed')
    t.equal((await slow.hasEnded()).farewells.length, 1)
  })

  test('a farewell is one comment, whatever it says', async (t, { bus, read }) => {
    const reader = read()
    bus.endRoom(ROOM, 'closed\n\nevent: forged\r\ndata: {}\r\rx')
    const [farewell = ''] = (await reader.hasEnded()).farewells
    t.match(farewell, /^: [^\r\n]+\n\n$/)
  })

  test('the end of a room that nobody reads is no failure', async (t, { bus, read }) => {
    bus.endRoom(ROOM, 'the room is closed')
    tell(bus, 'a')
    bus.endRoom(ROOM, 'the room is closed')
    const reader = read()
    tell(bus, 'b')
    t.strictSame((await reader.has(1)).seen, ['b'])
  })
}

function ofTheBus(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('to close ends every stream, once', async (t, { bus, read }) => {
    const readers = [read(), read({ roomId: OTHER_ROOM }), read({ roomId: null }), read({ room: 1 })]
    bus.close()
    bus.close()
    for (const reader of readers) t.match((await reader.hasEnded()).farewells, [/^: .+\n\n$/])
    t.equal(bus.size, 0)
  })

  test('what is published after the close goes nowhere, and is no failure', async (t, { bus, read }) => {
    const reader = read()
    bus.close()
    await reader.hasEnded()
    tell(bus, 'a')
    tellAll(bus, 'b')
    bus.beat()
    t.strictSame(reader.seen, [])
    t.equal(reader.farewells.length, 1)
  })

  // A request that was under way when the hub began to shut down must not keep it open.
  test('who comes after the close is ended at once', async (t, { bus, read }) => {
    bus.close()
    const reader = read()
    t.equal((await reader.hasEnded()).farewells.length, 1)
    t.equal(bus.size, 0)
  })
}
