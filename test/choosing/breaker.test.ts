import t from 'tap'
import { createBreakers, FAILURES_TO_OPEN, LONGEST_PAUSE_MS } from '../../plugins/ollama-proxy/choosing/breaker.ts'

interface Timer {
  at: number
  callback(): void
}

function openBreakers(start = 50_000) {
  const told = { now: start }
  const changes: string[] = []
  const timers: Timer[] = []
  const pauses: number[] = []
  const breakers = createBreakers({
    now: () => told.now,
    onChange: (key) => void changes.push(`${key} ${breakers.isOpen(key) ? 'open' : 'closed'}`),
    setTimer(callback, ms) {
      pauses.push(ms)
      timers.push({ at: told.now + ms, callback })
      return {}
    },
  })
  /** @param early timers may be, ms */
  const pass = (ms: number, early = 0): void => {
    told.now += ms
    for (const timer of timers.splice(0)) {
      if (timer.at - early <= told.now) timer.callback()
      else timers.push(timer)
    }
  }
  const fail = (key: string, times = 1): void => {
    for (let time = 0; time < times; time++) breakers.failed(key)
  }
  return { breakers, told, changes, pauses, pass, fail }
}

t.test('it opens at the fifth failure in a row', async (t) => {
  const { breakers, changes, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN - 1)
  t.equal(breakers.isOpen('a'), false)
  t.strictSame(changes, [])
  fail('a')
  t.equal(FAILURES_TO_OPEN, 5)
  t.equal(breakers.isOpen('a'), true)
  t.strictSame(changes, ['a open'])
})

t.test('a success in between begins the count anew', async (t) => {
  const { breakers, changes, fail } = openBreakers()
  for (let round = 0; round < 3; round++) {
    fail('a', FAILURES_TO_OPEN - 1)
    breakers.succeeded('a')
  }
  t.equal(breakers.isOpen('a'), false)
  t.strictSame(changes, [])
})

t.test('each has its own', async (t) => {
  const { breakers, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  t.equal(breakers.isOpen('b'), false)
  breakers.succeeded('b')
  t.equal(breakers.isOpen('a'), true)
})

t.test('after its pause it is tried again, and one more failure opens it', async (t) => {
  const { breakers, changes, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  pass(pauses[0]! - 1)
  t.equal(breakers.isOpen('a'), true)
  pass(1)
  t.equal(breakers.isOpen('a'), false)
  fail('a')
  t.equal(breakers.isOpen('a'), true)
  t.strictSame(changes, ['a open', 'a closed', 'a open'])
})

t.test('each pause is twice as long as the one before, up to the longest', async (t) => {
  const { breakers, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  for (let time = 0; time < 60; time++) {
    pass(pauses.at(-1)!)
    fail('a')
  }
  t.strictSame(pauses.slice(0, 5), [2000, 4000, 8000, LONGEST_PAUSE_MS, LONGEST_PAUSE_MS])
  t.ok(pauses.every((ms) => ms <= LONGEST_PAUSE_MS))
  t.equal(breakers.isOpen('a'), true)
})

t.test('a success forgets all: the count, and how long the pauses had become', async (t) => {
  const { breakers, pauses, changes, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  pass(pauses.at(-1)!)
  fail('a')
  pass(pauses.at(-1)!)
  breakers.succeeded('a')
  fail('a', FAILURES_TO_OPEN - 1)
  t.equal(breakers.isOpen('a'), false)
  fail('a')
  t.equal(pauses.at(-1), 2000)
  t.strictSame(changes, ['a open', 'a closed', 'a open', 'a closed', 'a open'])
})

t.test('what was under way may succeed while it is open, and closes it', async (t) => {
  const { breakers, changes, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  breakers.succeeded('a')
  t.equal(breakers.isOpen('a'), false)
  pass(pauses[0]!)
  t.strictSame(changes, ['a open', 'a closed'])
})

t.test('what was under way may fail while it is open, and prolongs nothing', async (t) => {
  const { breakers, changes, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN + 20)
  t.equal(pauses.length, 1)
  pass(pauses[0]!)
  t.equal(breakers.isOpen('a'), false)
  t.strictSame(changes, ['a open', 'a closed'])
})

t.test('it can be tried before its time; the old pause ends nothing that comes later', async (t) => {
  const { breakers, changes, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  pass(1500)
  breakers.closeEarly('a')
  breakers.closeEarly('a')
  t.equal(breakers.isOpen('a'), false)
  fail('a')
  pass(500)
  t.equal(breakers.isOpen('a'), true, 'the second pause, of 4 s, has only begun')
  t.strictSame(changes, ['a open', 'a closed', 'a open'])
  breakers.closeEarly('nobody')
  t.equal(changes.length, 3)
})

t.test('a timer that is a little early ends the pause all the same', async (t) => {
  const { breakers, changes, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  pass(pauses[0]! - 0.4, 1)
  t.equal(breakers.isOpen('a'), false)
  t.strictSame(changes, ['a open', 'a closed'])
})

t.test('a pause that is over by the clock can be ended before the timer says so', async (t) => {
  const { breakers, changes, told, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  told.now += pauses[0]! + 5
  breakers.closeEarly('a')
  pass(0)
  t.strictSame(changes, ['a open', 'a closed'])
})

t.test('a clock that is set back prolongs no pause', async (t) => {
  const { breakers, told, pauses, fail } = openBreakers()
  const timers: (() => void)[] = []
  const other = createBreakers({
    now: () => told.now,
    onChange: () => {},
    setTimer(callback) {
      timers.push(callback)
      return {}
    },
  })
  for (let time = 0; time < FAILURES_TO_OPEN; time++) other.failed('a')
  fail('a', FAILURES_TO_OPEN)
  told.now -= 40_000
  t.equal(other.isOpen('a'), true)
  timers[0]!()
  t.equal(other.isOpen('a'), false)
  t.equal(breakers.isOpen('a'), true)
  t.equal(pauses.length, 1)
})

t.test('who is gone is forgotten, and its timer with it', async (t) => {
  const { breakers, changes, pauses, pass, fail } = openBreakers()
  fail('a', FAILURES_TO_OPEN)
  breakers.forget('a')
  t.equal(breakers.isOpen('a'), false)
  fail('a', FAILURES_TO_OPEN - 1)
  pass(pauses[0]!)
  t.strictSame(changes, ['a open'])
  fail('a')
  t.equal(pauses.at(-1), 2000)
})

t.test('without a timer of its own it uses one that keeps no process alive', async (t) => {
  const changes: string[] = []
  const told = { now: 0 }
  const breakers = createBreakers({ now: () => told.now, onChange: (key) => void changes.push(key) })
  for (let time = 0; time < FAILURES_TO_OPEN; time++) breakers.failed('a')
  t.equal(breakers.isOpen('a'), true)
  t.strictSame(changes, ['a'])
})
