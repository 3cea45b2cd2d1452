import type { Test } from 'tap'
import { type BusDriver, busTests, OTHER_ROOM, tell } from './kit.ts'

export function keepAlive(t: Test, driver: BusDriver): void {
  const test = busTests(t, driver)

  test('a beat is one comment to everybody who reads', async (t, { bus, read }) => {
    const readers = [read(), read({ roomId: OTHER_ROOM }), read({ roomId: null })]
    bus.beat()
    for (const reader of readers) await reader.until(() => reader.comments.length > 0, 'a comment')
    t.strictSame(
      readers.map(({ comments }) => comments),
      [[':\n\n'], [':\n\n'], [':\n\n']],
    )
  })

  test('a beat is no event: it has no id, and moves nobody’s place', async (t, { bus, read }) => {
    const reader = read()
    bus.beat()
    tell(bus, 'a')
    await reader.has(1)
    t.strictSame(reader.seen, ['a'])
    t.strictSame((await read({ lastEventId: reader.frames[0]?.id ?? '' }).has(1)).seen, ['a'])
  })

  test('who is behind gets no comment either', async (t, { bus, read }) => {
    const [slow, quick] = [read({ room: 1 }), read()]
    bus.beat()
    await quick.until(() => quick.comments.length > 0, 'a comment')
    t.strictSame(slow.comments, [])
  })

  test('a comment may be what fills up a reader', async (t, { bus, read }) => {
    const [slow, quick] = [read({ room: 2 }), read()]
    bus.beat()
    tell(bus, 'a')
    await quick.has(1)
    t.strictSame([slow.comments.length, slow.seen], [1, []])
    slow.resume()
    t.strictSame((await slow.has(1)).seen, ['a'])
  })
}
