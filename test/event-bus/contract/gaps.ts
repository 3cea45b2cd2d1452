import type { Test } from 'tap'
import { manualClock } from '../../support/clock.ts'
import {
  type Bench,
  type BusDriver,
  busTests,
  HISTORY,
  moved,
  OTHER_ROOM,
  type ReadOptions,
  ROOM,
  STALL_MS,
  tell,
  tellAll,
} from './kit.ts'

export function gaps(t: Test, driver: BusDriver): void {
  overrun(t, driver)
  foreign(t, driver)
  garbage(t, driver)
  afterwards(t, driver)
}

/** Whether a client that comes with that id is told of a gap; if it is, nothing else must come before the next event. */
async function saysGap({ bus, read }: Bench, options: ReadOptions): Promise<boolean> {
  const reader = read(options)
  tellAll(bus, 'next')
  await reader.until(() => reader.seen.at(-1) === 'next', 'the next event')
  const { seen } = reader
  reader.close()
  return seen.length === 2 && seen[0] === 'gap'
}

async function idAfter({ bus, read }: Bench, roomId: string | null = ROOM): Promise<string> {
  const reader = read({ roomId })
  tellAll(bus, 'a')
  await reader.has(1)
  reader.close()
  return reader.lastId
}

function overrun(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a gap where one more event came than the room’s history holds', async (t, bench) => {
    const id = await idAfter(bench)
    for (let count = 0; count < HISTORY + 1; count++) tell(bench.bus, 'missed')
    t.ok(await saysGap(bench, { lastEventId: id }))
  })

  test('a gap where one more event came than the hub’s history holds', async (t, bench) => {
    const id = await idAfter(bench)
    for (let count = 0; count < HISTORY + 1; count++) tellAll(bench.bus, 'missed')
    t.ok(await saysGap(bench, { lastEventId: id }))
  })
}

function foreign(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('an id of another run of the hub is a gap', async (t, bench) => {
    const before = await driver.create({ clock: manualClock(), historyEvents: HISTORY, stallMs: STALL_MS })
    t.teardown(() => before.close())
    const { Reader } = await import('./kit.ts')
    const id = await idAfter({ ...bench, bus: before, read: (options) => new Reader(before, options) })
    await idAfter(bench)
    t.ok(await saysGap(bench, { lastEventId: id }))
  })

  test('an id of another room is a gap', async (t, bench) => {
    const id = await idAfter(bench, OTHER_ROOM)
    t.ok(await saysGap(bench, { lastEventId: id }))
  })

  test('an id of the feed is a gap in a room, and the other way round', async (t, bench) => {
    const [ofFeed, ofRoom] = [await idAfter(bench, null), await idAfter(bench)]
    t.ok(await saysGap(bench, { lastEventId: ofFeed }))
    t.ok(await saysGap(bench, { roomId: null, lastEventId: ofRoom }))
  })

  // Rooms are told apart by their whole ids, however much these look alike.
  test('an id of a room whose id begins like this one’s is a gap', async (t, bench) => {
    const id = await idAfter(bench, `${ROOM.slice(0, -1)}x`)
    t.ok(await saysGap(bench, { lastEventId: id }))
  })

  test('an id from before the room’s history was forgotten is a gap', async (t, bench) => {
    const { bus, read } = bench
    const reader = read()
    tell(bus, 'a')
    const id = (await reader.has(1)).lastId
    bus.endRoom(ROOM, 'the room is closed')
    for (const name of ['new', 'newer']) tell(bus, name)
    t.ok(await saysGap(bench, { lastEventId: id }))
  })

  for (const [name, hub, room] of [
    ['hub', 1, 0],
    ['room', 0, 1],
    ['hub, far away,', 999_999, 0],
    ['room, far away,', 0, 999_999],
  ] as const) {
    test(`an id from the future of the ${name} is a gap`, async (t, bench) => {
      const id = await idAfter(bench)
      t.ok(await saysGap(bench, { lastEventId: moved(id, hub, room) }))
    })
  }
}

function garbage(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('whatever else a client sends is a gap', async (t, bench) => {
    const id = await idAfter(bench)
    const epoch = id.slice(0, id.indexOf('.'))
    const texts = [
      ' ',
      'x',
      '..',
      'a.b.c',
      '0',
      '-1',
      '1.1.1',
      `${id}.1`,
      `x${id}`,
      ` ${id}`,
      `${id} `,
      `${id}\n`,
      epoch,
      `${epoch}..`,
      `${epoch}.-1.-1`,
      `${epoch}.1e0.0`,
      `${epoch}.0x1.0`,
      `${epoch}.1.${'9'.repeat(400)}`,
      `${epoch}.١.٠`,
      '__proto__.0.0',
      '\0',
      '\r\n\r\n',
      '💥',
      'x'.repeat(100_000),
    ]
    for (const text of texts) t.ok(await saysGap(bench, { lastEventId: text }), JSON.stringify(text.slice(0, 40)))
  })
}

function afterwards(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a gap comes right behind the greeting, with a reason', async (t, { read }) => {
    const reader = await read({ lastEventId: 'x' }).has(1)
    t.strictSame(
      reader.frames.map(({ event }) => event),
      ['connected', 'gap'],
    )
    t.type(reader.frames[1]?.data.reason, 'string')
    t.not(reader.frames[1]?.data.reason, '')
  })

  test('the gap’s own id is a place to come back to', async (t, { bus, read }) => {
    tell(bus, 'lost')
    const reader = await read({ lastEventId: 'x' }).has(1)
    tell(bus, 'next')
    t.strictSame((await read({ lastEventId: reader.frames[1]?.id ?? '' }).has(1)).seen, ['next'])
  })
}
