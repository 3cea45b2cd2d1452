import t from 'tap'
import { createPerformances, MAX_MEASURED } from '../../plugins/ollama-proxy/performance.ts'
import type { Metrics } from '../../schemas/events.ts'

/** What was measured of one request, as far as an average is made of it. */
function measured(ttftMs: number, tokensPerSecond: number): Metrics {
  const tokens = { inputTokens: 1, outputTokens: 2, totalTokens: 3, estimated: false }
  return { ttftMs, tokensPerSecond, durationMs: ttftMs, ...tokens }
}

t.test('who has served nothing has no figures', async (t) => {
  t.equal(createPerformances().of('alice'), undefined)
})

t.test('the first request is the average', async (t) => {
  const performances = createPerformances()
  performances.note('alice', measured(120, 40))
  t.strictSame(performances.of('alice'), { requests: 1, ttftMs: 120, tokensPerSecond: 40 })
  t.equal(performances.of('bob'), undefined)
})

t.test('each one that follows moves it by a fifth of the way', async (t) => {
  const performances = createPerformances()
  for (const [ttftMs, speed] of [
    [100, 50],
    [200, 100],
    [200, 100],
  ] as const)
    performances.note('alice', measured(ttftMs, speed))
  t.strictSame(performances.of('alice'), { requests: 3, ttftMs: 136, tokensPerSecond: 68 })
})

t.test('it gets near to what has been so for long', async (t) => {
  const performances = createPerformances()
  performances.note('alice', measured(10_000, 1))
  for (let count = 0; count < 60; count++) performances.note('alice', measured(100, 80))
  const { ttftMs = 0, tokensPerSecond = 0, requests } = performances.of('alice') ?? {}
  t.ok(ttftMs >= 100 && ttftMs < 101, `${ttftMs} ms`)
  t.ok(tokensPerSecond > 79 && tokensPerSecond <= 80, `${tokensPerSecond} tokens/s`)
  t.equal(requests, 61)
})

t.test('an answer without a speed changes none', async (t) => {
  const performances = createPerformances()
  performances.note('alice', measured(100, 50))
  performances.note('alice', measured(100, 0))
  t.strictSame(performances.of('alice'), { requests: 2, ttftMs: 100, tokensPerSecond: 50 })
  performances.note('bob', measured(100, 0))
  t.equal(performances.of('bob')?.tokensPerSecond, 0)
  performances.note('bob', measured(100, 30))
  t.equal(performances.of('bob')?.tokensPerSecond, 30, 'the first speed there is')
})

t.test('who has not served for longest is forgotten first', async (t) => {
  const performances = createPerformances()
  for (let count = 0; count < MAX_MEASURED; count++) performances.note(`p${count}`, measured(1, 1))
  performances.note('p0', measured(1, 1))
  performances.note('one more', measured(1, 1))
  t.equal(performances.of('p1'), undefined)
  t.equal(performances.of('p0')?.requests, 2)
  t.equal(performances.of('one more')?.requests, 1)
})
