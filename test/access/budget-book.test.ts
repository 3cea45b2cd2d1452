import t from 'tap'
import { createBudgets } from '../../plugins/access/budgets.ts'
import { waitSaid } from '../support/access.ts'
import { manualClock } from '../support/clock.ts'

const KEY = { id: 'bob', name: 'Bob', createdAt: 0 }
const HOUR_MS = 3_600_000

/** 23:59:50 UTC. */
const LATE = Date.UTC(2026, 0, 1, 23, 59, 50)

function build(start = LATE) {
  const clock = manualClock(start)
  return { clock, budgets: createBudgets({ clock }) }
}

t.test('a key without budgets may always', async (t) => {
  const { budgets } = build()
  for (let request = 0; request < 1000; request += 1) budgets.begin(KEY)
  budgets.charge('bob', { inputTokens: 1e9, outputTokens: 1e9 })
  t.doesNotThrow(() => budgets.begin(KEY))
})

t.test('requests of a minute, by the clock’s minutes', async (t) => {
  const { clock, budgets } = build()
  const key = { ...KEY, requestsPerMinute: 2 }
  budgets.begin(key)
  budgets.begin(key)
  t.throws(() => budgets.begin(key), { code: 'PTL_OVER_BUDGET' })
  t.equal(
    waitSaid(() => budgets.begin(key)),
    10,
  )
  clock.advance(9_999)
  t.equal(
    waitSaid(() => budgets.begin(key)),
    1,
  )
  clock.advance(1)
  t.doesNotThrow(() => budgets.begin(key))
})

t.test('tokens of a day, input and output together', async (t) => {
  const { clock, budgets } = build(LATE - HOUR_MS)
  const key = { ...KEY, tokensPerDay: 10 }
  budgets.begin(key)
  budgets.charge('bob', { inputTokens: 6, outputTokens: 3 })
  t.doesNotThrow(() => budgets.begin(key))
  budgets.charge('bob', { inputTokens: 0, outputTokens: 1 })
  t.throws(() => budgets.begin(key), { code: 'PTL_OVER_BUDGET' })
  t.equal(
    waitSaid(() => budgets.begin(key)),
    3610,
  )
  clock.advance(HOUR_MS + 10_000)
  t.doesNotThrow(() => budgets.begin(key))
})

t.test('where both are spent, the longer wait is said', async (t) => {
  const { budgets } = build(LATE - HOUR_MS)
  const key = { ...KEY, requestsPerMinute: 1, tokensPerDay: 1 }
  budgets.begin(key)
  budgets.charge('bob', { inputTokens: 1, outputTokens: 1 })
  t.equal(
    waitSaid(() => budgets.begin(key)),
    3610,
  )
})

t.test('what is refused is not counted', async (t) => {
  const { budgets } = build()
  const key = { ...KEY, requestsPerMinute: 1 }
  budgets.begin(key)
  t.throws(() => budgets.begin(key))
  t.equal(budgets.usageOf('bob').requests, 1)
})

t.test('totals go on, the day’s tokens begin anew', async (t) => {
  const { clock, budgets } = build()
  budgets.begin(KEY)
  budgets.charge('bob', { inputTokens: 6, outputTokens: 3 })
  t.strictSame(budgets.usageOf('bob'), { requests: 1, inputTokens: 6, outputTokens: 3, tokensToday: 9 })
  clock.advance(10_000)
  t.strictSame(budgets.usageOf('bob'), { requests: 1, inputTokens: 6, outputTokens: 3, tokensToday: 0 })
})

t.test('a clock that is set back and forth never makes a wait longer than the period', async (t) => {
  const { clock, budgets } = build()
  const key = { ...KEY, requestsPerMinute: 1 }
  for (const time of [LATE - 48 * HOUR_MS, LATE + 48 * HOUR_MS, 0, LATE, LATE + 120_000.25]) {
    clock.set(time)
    t.doesNotThrow(() => budgets.begin(key), String(time))
    const wait = waitSaid(() => budgets.begin(key)) ?? 0
    t.ok(wait >= 1 && wait <= 60, String(wait))
  }
})

t.test('what is forgotten begins at nothing', async (t) => {
  const { budgets } = build()
  budgets.begin({ ...KEY, requestsPerMinute: 1 })
  budgets.forget('bob')
  t.equal(budgets.usageOf('bob').requests, 0)
  t.doesNotThrow(() => budgets.begin({ ...KEY, requestsPerMinute: 1 }))
})

t.test('each key has an account of its own', async (t) => {
  const { budgets } = build()
  budgets.charge('bob', { inputTokens: 6, outputTokens: 3 })
  t.equal(budgets.usageOf('eve').tokensToday, 0)
})
