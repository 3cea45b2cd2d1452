import type { Test } from 'tap'
import { type BusDriver, busTests, HISTORY, STALL_MS, tell, tellAll, tellMixed } from './kit.ts'

export function backPressure(t: Test, driver: BusDriver): void {
  blocked(t, driver)
  overrun(t, driver)
  stalled(t, driver)
}

function blocked(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('who says that it is behind gets nothing until it resumes, then everything in order', async (t, {
    bus,
    read,
  }) => {
    const [slow, quick] = [read({ room: 1 }), read()]
    const names = tellMixed(bus, HISTORY)
    await quick.has(HISTORY)
    t.strictSame(slow.seen, [])
    slow.resume()
    t.strictSame((await slow.has(HISTORY)).events, quick.events)
    t.strictSame(slow.seen, names)
  })

  test('the frame at which it says so counts as taken', async (t, { bus, read }) => {
    const slow = read({ room: 2 })
    tellMixed(bus, 3)
    await slow.has(1)
    slow.resume()
    t.strictSame((await slow.has(3)).seen, ['r1', 'h2', 'r3'])
  })

  test('it may catch up piece by piece', async (t, { bus, read }) => {
    const [slow, quick] = [read({ room: 1 }), read()]
    tellMixed(bus, 5)
    await quick.has(5)
    slow.resume(2)
    t.strictSame((await slow.has(2)).seen, ['r1', 'h2'])
    slow.resume(1)
    t.strictSame((await slow.has(3)).seen, ['r1', 'h2', 'r3'])
    slow.resume()
    t.strictSame((await slow.has(5)).seen, ['r1', 'h2', 'r3', 'h4', 'r5'])
  })

  test('once it has caught up it gets what comes live', async (t, { bus, read }) => {
    const slow = read({ room: 1 })
    tell(bus, 'a')
    slow.resume()
    tellAll(bus, 'b')
    tell(bus, 'c')
    t.strictSame((await slow.has(3)).seen, ['a', 'b', 'c'])
  })

  test('a replay stops and goes on like everything else', async (t, { bus, read }) => {
    const first = read()
    tellMixed(bus, 4)
    await first.has(4)
    const slow = read({ lastEventId: first.frames[0]?.id ?? '', room: 3 })
    t.strictSame((await slow.has(2)).seen, ['r1', 'h2'])
    tell(bus, 'live')
    slow.resume()
    t.strictSame((await slow.has(5)).seen, ['r1', 'h2', 'r3', 'h4', 'live'])
  })

  test('to resume without being behind does nothing', async (t, { bus, read }) => {
    const reader = read()
    tell(bus, 'a')
    await reader.has(1)
    reader.resume()
    reader.resume()
    tell(bus, 'b')
    t.strictSame((await reader.has(2)).seen, ['a', 'b'])
  })

  test('to resume after it has gone does nothing', async (t, { bus, read }) => {
    const [gone, staying] = [read({ room: 1 }), read()]
    tell(bus, 'a')
    gone.close()
    gone.resume()
    tell(bus, 'b')
    await staying.has(2)
    t.strictSame(gone.seen, [])
    t.equal(bus.size, 1)
  })
}

function overrun(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  for (const [name, publish] of [
    ['room', tell],
    ['hub', tellAll],
  ] as const) {
    test(`who falls further behind than the ${name}’s history is ended, and misses nothing unknowingly`, async (t, {
      bus,
      read,
    }) => {
      const [slow, quick] = [read({ room: 1 }), read()]
      for (let count = 0; count < HISTORY + 1; count++) publish(bus, 'missed')
      await quick.has(HISTORY + 1)
      slow.resume()
      t.match((await slow.hasEnded()).farewells, [/^: .+\n\n$/])
      t.strictSame(slow.seen, [])
      t.equal(bus.size, 1)
    })
  }

  test('it is ended once, and gets nothing more', async (t, { bus, read }) => {
    const [slow, quick] = [read({ room: 1 }), read()]
    for (let count = 0; count < HISTORY + 1; count++) tell(bus, 'missed')
    slow.resume()
    await slow.hasEnded()
    slow.resume()
    bus.beat()
    tell(bus, 'more')
    await quick.has(HISTORY + 2)
    t.equal(slow.farewells.length, 1)
    t.equal(slow.writes.length, 1)
  })

  test('just as far behind as the history reaches is not too far', async (t, { bus, read }) => {
    const [slow, quick] = [read({ room: 1 }), read()]
    for (let count = 0; count < HISTORY; count++) tell(bus, `e${count}`)
    await quick.has(HISTORY)
    slow.resume()
    t.strictSame((await slow.has(HISTORY)).seen, quick.seen)
  })
}

function stalled(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('who reads nothing for too long is ended by the beat, not before', async (t, { bus, clock, read }) => {
    const slow = read({ room: 1 })
    await slow.until(() => slow.writes.length === 1, 'the greeting')
    clock.advance(STALL_MS)
    bus.beat()
    t.strictSame(slow.farewells, [])
    clock.advance(1)
    bus.beat()
    t.match((await slow.hasEnded()).farewells, [/^: .+\n\n$/])
    t.equal(bus.size, 0)
  })

  test('who resumes in time starts anew', async (t, { bus, clock, read }) => {
    const slow = read({ room: 1 })
    await slow.until(() => slow.writes.length === 1, 'the greeting')
    clock.advance(STALL_MS)
    slow.resume(1)
    tell(bus, 'a')
    await slow.has(1)
    clock.advance(STALL_MS)
    bus.beat()
    t.strictSame(slow.farewells, [])
  })

  test('who reads along is never ended', async (t, { bus, clock, read }) => {
    const reader = read()
    await reader.until(() => reader.writes.length === 1, 'the greeting')
    clock.advance(10 * STALL_MS)
    bus.beat()
    tell(bus, 'a')
    await reader.has(1)
    t.strictSame(reader.farewells, [])
  })

  // A laptop's clock is set by an hour now and then: nobody has read slowly for it.
  test('a clock that is set ends nobody, and keeps nobody', async (t, { bus, clock, read }) => {
    const slow = read({ room: 1 })
    await slow.until(() => slow.writes.length === 1, 'the greeting')
    clock.set(clock.now() + 60 * STALL_MS)
    bus.beat()
    t.strictSame(slow.farewells, [], 'set forward')
    clock.set(clock.now() - 120 * STALL_MS)
    clock.advance(STALL_MS + 1)
    bus.beat()
    t.equal(slow.farewells.length, 1, 'set back')
  })
}
