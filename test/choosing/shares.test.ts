import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createShares, HALF_LIFE_MS, MAX_CLIENTS } from '../../plugins/ollama-proxy/choosing/shares.ts'
import { holds } from '../support/property.ts'

function openShares(start = 1_000_000) {
  const told = { now: start }
  return { told, shares: createShares({ now: () => told.now }) }
}

const DAY_MS = 86_400_000

t.test('what was given counts half after a half-life', async (t) => {
  const { told, shares } = openShares()
  const [early, late] = [shares.of('early'), shares.of('late')]
  shares.charge(early, 1000)
  told.now += HALF_LIFE_MS
  shares.charge(late, 500)
  t.equal(early.score, late.score)
  shares.charge(late, 1)
  t.ok(early.score < late.score)
})

t.test('twice as much counts the same a half-life later, ten times over', async (t) => {
  const { told, shares } = openShares()
  const first = shares.of('first')
  shares.charge(first, 1024)
  for (let halfLives = 1; halfLives <= 10; halfLives++) {
    told.now += HALF_LIFE_MS
    const other = shares.of(`after ${halfLives}`)
    shares.charge(other, 1024 / 2 ** halfLives)
    t.equal(other.score, first.score, `${halfLives} half-lives`)
  }
})

t.test('time alone changes no order', async (t) => {
  const steps = fc.array(
    fc.record({
      client: fc.nat({ max: 4 }),
      cost: fc.integer({ min: -5000, max: 60_000 }),
      passes: fc.integer({ min: 0, max: 4 * HALF_LIFE_MS }),
    }),
    { minLength: 1, maxLength: 30 },
  )
  const property = fc.property(steps, fc.integer({ min: 0, max: DAY_MS }), (script, idleMs) => {
    const { told, shares } = openShares()
    const clients = Array.from({ length: 5 }, (_, index) => shares.of(`client ${index}`))
    for (const { client, cost, passes } of script) {
      shares.charge(clients[client]!, cost)
      told.now += passes
    }
    const order = () => clients.map(({ score }) => clients.map((other) => Math.sign(score - other.score)))
    const before = order()
    told.now += idleMs
    // Somebody else is served: were there a new beginning, it would be now.
    shares.charge(shares.of('else'), 1)
    assert.deepEqual(order(), before)
  })
  holds(t, 'order', property, 2000)
})

t.test('nobody has less than nothing', async (t) => {
  const { shares } = openShares()
  const share = shares.of('a')
  shares.charge(share, 100)
  shares.charge(share, -5000)
  t.equal(share.score, 0)
})

t.test('a new beginning keeps who had more before who had less, and what is new counts as before', async (t) => {
  const { told, shares } = openShares()
  const [less, more] = [shares.of('less'), shares.of('more')]
  told.now += 495 * HALF_LIFE_MS
  shares.charge(less, 1000)
  shares.charge(more, 2000)
  told.now += 10 * HALF_LIFE_MS
  const fresh = shares.of('new')
  shares.charge(fresh, 1)
  t.ok(0 < less.score && less.score < more.score)
  t.ok(fresh.score < less.score * 1.1, 'ten half-lives ago 1000 were worth about 1')
  t.ok(fresh.score > less.score * 0.9)
})

t.test('whoever is served at a new beginning begins anew like everybody', async (t) => {
  const { told, shares } = openShares()
  const [served, other] = [shares.of('served'), shares.of('other')]
  told.now += 400 * HALF_LIFE_MS
  shares.charge(served, 1000)
  shares.charge(other, 1000)
  told.now += 101 * HALF_LIFE_MS
  shares.charge(served, 10)
  shares.charge(other, 20)
  t.ok(served.score < other.score)
})

t.test('after years without a request nothing of the old counts, and nothing overflows', async (t) => {
  const { told, shares } = openShares()
  const old = shares.of('old')
  shares.charge(old, 60_000)
  for (let year = 1; year <= 30; year++) {
    told.now += 365 * DAY_MS
    shares.charge(shares.of('new'), 1000)
    t.ok(Number.isFinite(shares.of('new').score))
  }
  t.ok(old.score < shares.of('new').score)
})

t.test('a clock that is set back leaves everybody where they were', async (t) => {
  const { told, shares } = openShares(10 * DAY_MS)
  const [before, after] = [shares.of('before'), shares.of('after')]
  told.now += DAY_MS / 2
  shares.charge(before, 1000)
  for (const now of [10 * DAY_MS, 5, 0, -DAY_MS]) {
    told.now = now
    const score = after.score
    shares.charge(after, 250)
    const added = (after.score - score) / before.score
    t.ok(Math.abs(added - 1 / 4) < 1e-9, `${now}: ${added}`)
  }
})

t.test('the same client has the same share', async (t) => {
  const { shares } = openShares()
  t.equal(shares.of('a'), shares.of('a'))
  t.not(shares.of('a'), shares.of('b'))
})

t.test('whoever was served longest ago is forgotten first', async (t) => {
  const { shares } = openShares()
  const [first, second] = [shares.of('first'), shares.of('second')]
  shares.charge(first, 10)
  for (let index = 2; index < MAX_CLIENTS; index++) shares.of(`client ${index}`)
  shares.charge(first, 10)
  shares.of('one too many')
  t.equal(shares.of('first'), first)
  t.not(shares.of('second'), second)
})

t.test('who was forgotten and is known anew has one share, not two', async (t) => {
  const { shares } = openShares()
  const old = shares.of('back')
  for (let index = 0; index < MAX_CLIENTS; index++) shares.of(`client ${index}`)
  const fresh = shares.of('back')
  t.not(fresh, old)
  shares.charge(old, 5000)
  t.equal(shares.of('back'), fresh)
  t.equal(fresh.score, 0)
})
