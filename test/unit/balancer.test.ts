import t from 'tap'
import { createBalancer, MAX_REMEMBERED } from '../../plugins/ollama-proxy/balancer.ts'
import type { Candidate } from '../../plugins/ollama-proxy/routing.ts'
import { record } from '../support/participants.ts'

const candidate = (id: string): Candidate => ({ record: record({ id }), model: 'm' })
const [a, b, c] = [candidate('a'), candidate('b'), candidate('c')]

t.test('who has the fewest requests in flight is chosen', async (t) => {
  const balancer = createBalancer()
  for (const count of [1, 2, 3]) {
    const chosen = [a, b, c].map(() => balancer.choose([a, b, c]).candidate)
    t.equal(new Set(chosen).size, 3, 'each of them once')
    t.strictSame(
      [a, b, c].map(({ record }) => balancer.inFlight(record.key)),
      [count, count, count],
    )
  }
})

t.test('a place that is given back is taken next', async (t) => {
  const balancer = createBalancer()
  const choices = [1, 2, 3].map(() => balancer.choose([a, b, c]))
  choices[1]?.release()
  t.equal(balancer.choose([a, b, c]).candidate, choices[1]?.candidate)
})

t.test('among equals comes next who has waited longest', async (t) => {
  const balancer = createBalancer()
  const order = Array.from({ length: 7 }, () => {
    const choice = balancer.choose([a, b, c])
    choice.release()
    return choice.candidate
  })
  t.strictSame(order, [a, b, c, a, b, c, a])
})

t.test('a place is given back once', async (t) => {
  const balancer = createBalancer()
  const [first] = [balancer.choose([a]), balancer.choose([a])]
  first?.release()
  first?.release()
  t.equal(balancer.inFlight(a.record.key), 1)
})

t.test('the reason says whether there was a choice', async (t) => {
  const balancer = createBalancer()
  t.equal(balancer.choose([a]).reason, 'only')
  t.equal(balancer.choose([a, b]).reason, 'least-loaded')
})

t.test('participants with one id in two rooms are told apart', async (t) => {
  const balancer = createBalancer()
  const elsewhere = { record: { ...record({ id: 'a' }), roomId: 'other', key: 'other/a' }, model: 'm' }
  balancer.choose([a])
  t.equal(balancer.choose([a, elsewhere]).candidate, elsewhere)
})

t.test('who is unknown has nothing in flight', async (t) => {
  t.equal(createBalancer().inFlight('nobody'), 0)
})

// Ids are made up by whoever joins: remembering all of them would be a way to fill the hub.
t.test('of those who are idle only so many are remembered, of those at work all', async (t) => {
  const balancer = createBalancer()
  const working = balancer.choose([a])
  balancer.choose([b]).release()
  for (let count = 0; count < MAX_REMEMBERED; count++) balancer.choose([candidate(`x${count}`)]).release()
  t.equal(balancer.inFlight(a.record.key), 1)
  t.equal(balancer.choose([b, c]).candidate, b, 'its last turn is forgotten, so both are new')
  working.release()
  t.equal(balancer.inFlight(a.record.key), 0)
})
