import t from 'tap'
import { createHiddenQueues, type Streamed } from '../../plugins/ollama-proxy/choosing/hidden-queue.ts'

function watch() {
  const found: [string, number][] = []
  const clock = { now: 0 }
  const queues = createHiddenQueues({ now: () => clock.now, onFound: (key, slots) => void found.push([key, slots]) })
  const note = (streamed: Partial<Streamed>) =>
    queues.note({ key: 'alice', sentAt: 0, firstAt: 0, endedAt: 0, beside: 0, ...streamed })
  return { found, queues, note, clock }
}

/** Two at once, the second of which gets its first token only behind the first one's end. */
function oneBehindTheOther({ note }: ReturnType<typeof watch>, from: number): void {
  note({ sentAt: from, firstAt: from + 10, endedAt: from + 2000 })
  note({ sentAt: from + 100, firstAt: from + 2010, endedAt: from + 4000, beside: 1 })
}

t.test('a server that takes two and serves one is found out the third time', (t) => {
  const watched = watch()
  for (const from of [0, 10_000]) oneBehindTheOther(watched, from)
  t.strictSame(watched.found, [])
  t.equal(watched.queues.slotsOf('alice'), Number.POSITIVE_INFINITY)
  oneBehindTheOther(watched, 20_000)
  t.strictSame(watched.found, [['alice', 1]])
  t.equal(watched.queues.slotsOf('alice'), 1)
  t.equal(watched.queues.slotsOf('bob'), Number.POSITIVE_INFINITY)
  t.end()
})

t.test('one that serves two at once is not, however often they end one after the other', (t) => {
  const watched = watch()
  for (let from = 0; from < 100_000; from += 10_000) {
    watched.note({ sentAt: from, firstAt: from + 10, endedAt: from + 2000 })
    watched.note({ sentAt: from + 100, firstAt: from + 120, endedAt: from + 4000, beside: 1 })
  }
  t.strictSame(watched.found, [])
  t.end()
})

t.test('three times must be running: one served at once between them begins anew', (t) => {
  const watched = watch()
  for (const from of [0, 10_000]) oneBehindTheOther(watched, from)
  watched.note({ sentAt: 20_000, firstAt: 20_010, endedAt: 22_000 })
  watched.note({ sentAt: 20_100, firstAt: 20_110, endedAt: 24_000, beside: 1 })
  for (const from of [30_000, 40_000]) oneBehindTheOther(watched, from)
  t.strictSame(watched.found, [])
  t.end()
})

t.test('an end that came soon behind the beginning proves nothing', (t) => {
  const watched = watch()
  for (let from = 0; from < 100_000; from += 10_000) {
    watched.note({ sentAt: from, firstAt: from + 10, endedAt: from + 500 })
    watched.note({ sentAt: from + 100, firstAt: from + 510, endedAt: from + 4000, beside: 1 })
  }
  t.strictSame(watched.found, [])
  t.end()
})

t.test('nor does a request that ran alone', (t) => {
  const watched = watch()
  for (let from = 0; from < 100_000; from += 10_000)
    watched.note({ sentAt: from, firstAt: from + 5000, endedAt: from + 6000 })
  t.strictSame(watched.found, [])
  t.end()
})

t.test('who serves two of three gets two', (t) => {
  const watched = watch()
  for (const from of [0, 10_000, 20_000]) {
    watched.note({ sentAt: from, firstAt: from + 10, endedAt: from + 2000 })
    watched.note({ sentAt: from + 100, firstAt: from + 2010, endedAt: from + 4000, beside: 2 })
  }
  t.strictSame(watched.found, [['alice', 2]])
  t.end()
})

t.test('what was found is forgotten with the participant', (t) => {
  const watched = watch()
  for (const from of [0, 10_000, 20_000]) oneBehindTheOther(watched, from)
  watched.queues.forget('alice')
  t.equal(watched.queues.slotsOf('alice'), Number.POSITIVE_INFINITY)
  t.end()
})

t.test('a long prompt that is read beside short answers is no queue', (t) => {
  const watched = watch()
  for (let from = 0; from < 100_000; from += 10_000) {
    watched.note({ sentAt: from, firstAt: from + 10, endedAt: from + 1000 })
    watched.note({ sentAt: from + 100, firstAt: from + 3000, endedAt: from + 4000, beside: 1 })
  }
  t.strictSame(watched.found, [])
  t.end()
})

t.test('what was found holds for a while, and is found anew where it still is so', (t) => {
  const watched = watch()
  for (const from of [0, 10_000, 20_000]) oneBehindTheOther(watched, from)
  watched.clock.now = 11 * 60_000
  t.equal(watched.queues.slotsOf('alice'), Number.POSITIVE_INFINITY)
  for (const from of [0, 10_000, 20_000]) oneBehindTheOther(watched, watched.clock.now + from)
  t.equal(watched.queues.slotsOf('alice'), 1)
  t.end()
})
