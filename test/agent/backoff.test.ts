import t from 'tap'
import { createBackoff } from '../../src/agent/backoff.ts'

t.test('the window grows to its bound, and is small again after success', async (t) => {
  const backoff = createBackoff({ random: () => 1 })
  t.same([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [8000, 10_000, 10_000])
  backoff.reset()
  t.equal(backoff.nextMs(), 8000)
})

t.test('any moment within the window is as likely as another', async (t) => {
  t.equal(createBackoff({ random: () => 0 }).nextMs(), 0)
  t.equal(createBackoff({ random: () => 0.5 }).nextMs(), 4000)
})

t.test('what the hub asks for is waited at least, up to a bound', async (t) => {
  t.equal(createBackoff({ random: () => 0 }).nextMs(5000), 5000)
  t.equal(createBackoff({ random: () => 0 }).nextMs(1e9), 120_000)
})

t.test('two hundred that lost their hub at the same moment do not come back at once', async (t) => {
  const waits = Array.from({ length: 200 }, () => createBackoff().nextMs()).sort((one, other) => one - other)
  t.ok(waits[199]! - waits[0]! > 5000)
  let most = 0
  for (const from of waits) most = Math.max(most, waits.filter((wait) => wait >= from && wait < from + 1000).length)
  t.ok(most < 60, `${most} in one second`)
})
