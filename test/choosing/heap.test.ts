import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Heap, NOWHERE } from '../../plugins/ollama-proxy/choosing/heap.ts'
import { holds } from '../support/property.ts'

interface Item {
  readonly name: number
  rank: number
  at: number
}

/** With ties, so that the order among equals is none of the heap's. */
const ranks = fc.integer({ min: 0, max: 9 })
const names = fc.nat({ max: 19 })

const steps = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), name: names, rank: ranks }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), name: names }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pop' as const) }) },
)

type Step = typeof steps extends fc.Arbitrary<infer S> ? S : never

function createItems() {
  const items = Array.from({ length: 20 }, (_, name): Item => ({ name, rank: 0, at: NOWHERE }))
  return (name: number) => items[name] as Item
}

const newHeap = () => new Heap<Item>((one, other) => one.rank < other.rank)

t.test('the first is never behind another, whatever is put, moved and taken out', async (t) => {
  const property = fc.property(fc.array(steps, { maxLength: 80 }), (script) => {
    const item = createItems()
    const heap = newHeap()
    const inside = new Set<Item>()
    for (const step of script) {
      run(step, heap, inside, item)
      const sorted = [...inside].map(({ rank }) => rank).sort((one, other) => one - other)
      assert.equal(heap.size, inside.size)
      assert.equal(heap.peek()?.rank, sorted[0])
      assert.equal(heap.peekSecond()?.rank, sorted[1])
      assert.deepEqual(new Set(heap.values()), inside)
      for (let name = 0; name < 20; name++) assert.equal(heap.has(item(name)), inside.has(item(name)))
    }
    assert.deepEqual(
      drain(heap),
      [...inside].map(({ rank }) => rank).sort((one, other) => one - other),
    )
  })
  holds(t, 'heap', property, 3000)
})

function run(step: Step, heap: Heap<Item>, inside: Set<Item>, item: (name: number) => Item): void {
  if (step.do === 'put') {
    const put = item(step.name)
    put.rank = step.rank
    heap.put(put)
    inside.add(put)
  } else {
    const gone = step.do === 'delete' ? item(step.name) : heap.peek()
    if (gone === undefined) return
    assert.equal(heap.delete(gone), inside.delete(gone))
  }
}

function drain(heap: Heap<Item>): number[] {
  const found: number[] = []
  for (let first = heap.peek(); first !== undefined; first = heap.peek()) {
    found.push(first.rank)
    heap.delete(first)
  }
  return found
}

t.test('who is in another heap is not in this one', async (t) => {
  const [one, other] = [newHeap(), newHeap()]
  const item = createItems()
  one.put(item(1))
  t.equal(other.has(item(1)), false)
  t.equal(other.delete(item(1)), false)
  t.equal(one.has(item(1)), true)
})

t.test('who was taken out can be put in again', async (t) => {
  const heap = newHeap()
  const item = createItems()
  for (const name of [1, 2, 3]) heap.put(Object.assign(item(name), { rank: name }))
  t.equal(heap.delete(item(2)), true)
  t.equal(heap.delete(item(2)), false)
  heap.put(Object.assign(item(2), { rank: 0 }))
  t.equal(heap.peek(), item(2))
  t.equal(heap.size, 3)
})
