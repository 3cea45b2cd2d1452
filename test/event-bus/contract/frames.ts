import type { Test } from 'tap'
import type { EventType } from '../../../schemas/events.ts'
import { type BusDriver, busTests, ROOM, roomNamed, tell, tellAll } from './kit.ts'

export function frames(t: Test, driver: BusDriver): void {
  shape(t, driver)
  forgery(t, driver)
}

function shape(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a frame is an id, an event and one line of data, in one write', async (t, { bus, read }) => {
    const reader = read()
    tellAll(bus, 'Kitchen')
    tell(bus, 'alice')
    const [first, second] = (await reader.has(2)).events
    t.equal(first?.text, `id: ${first?.id}\nevent: room:created\ndata: ${JSON.stringify(roomNamed('Kitchen'))}\n\n`)
    t.equal(second?.text, `id: ${second?.id}\nevent: participant:left\ndata: {"participantId":"alice"}\n\n`)
    t.equal(reader.writes.length, 3)
  })

  test('the first frame says who the client is, where it stands and when to come back', async (t, { read }) => {
    const reader = read({ clientId: '550e8400-e29b-41d4-a716-446655440000' })
    await reader.until(() => reader.writes.length > 0, 'the greeting')
    const [greeting] = reader.frames
    t.strictSame(greeting?.data, { clientId: '550e8400-e29b-41d4-a716-446655440000' })
    t.match(greeting?.text, /^retry: \d+\nid: [\w.-]+\nevent: connected\ndata: \{.*\}\n\n$/)
  })

  test('every id is another one', async (t, { bus, read }) => {
    const reader = read()
    for (const name of ['a', 'b', 'c']) {
      tell(bus, name)
      tellAll(bus, name)
    }
    await reader.has(6)
    t.equal(new Set(reader.frames.map(({ id }) => id)).size, 7)
  })

  test('all who read a room get the same frames', async (t, { bus, read }) => {
    const readers = [read(), read({ clientId: 'another' })]
    tell(bus, 'a')
    tellAll(bus, 'b')
    const [left, right] = await Promise.all(readers.map(async (reader) => (await reader.has(2)).writes.slice(1)))
    t.strictSame(left, right)
  })
}

function forgery(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('line ends in the data stay in the data', async (t, { bus, read }) => {
    const reader = read()
    const name = 'a\n\nevent: forged\r\ndata: {}\r\n\r\n\u2028\u2029\u0085\0'
    tell(bus, name)
    const [frame] = (await reader.has(1)).events
    t.strictSame(frame?.data, { participantId: name })
    t.equal(frame?.text.split(/\r\n|\r|\n/).length, 5, 'three lines and the blank one')
  })

  for (const lineEnd of ['\n', '\r', '\r\n']) {
    test(`an event’s name with ${JSON.stringify(lineEnd)} is refused`, async (t, { bus, read }) => {
      const reader = read()
      const forged = `participant:left${lineEnd}event: forged` as EventType
      t.throws(() => bus.publishToRoom(ROOM, forged, { participantId: 'a' }), TypeError)
      t.throws(() => bus.publishToHub(forged, { participantId: 'a' }), TypeError)
      t.notMatch(reader.writes.join(''), 'forged')
    })
  }

  test('an event that was refused harms no other one', async (t, { bus, read }) => {
    const reader = read()
    const before = await reader.until(() => reader.lastId !== '', 'the greeting').then(() => reader.lastId)
    t.throws(() => bus.publishToRoom(ROOM, 'forged\n' as EventType, { participantId: 'a' }))
    tell(bus, 'b')
    t.strictSame((await reader.has(1)).seen, ['b'])
    t.strictSame((await read({ lastEventId: before }).has(1)).seen, ['b'])
  })

  test('the id that a client sends is in no frame', async (t, { read }) => {
    const reader = read({ lastEventId: 'x\n\nevent: forged\ndata: {}\n\n' })
    await reader.has(1)
    t.notMatch(reader.writes.join(''), 'forged')
    t.ok(reader.writes.every((text) => /^[^\n]+(\n[^\n]+)*\n\n$/.test(text)))
  })
}
