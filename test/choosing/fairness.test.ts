import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createScheduler, type Grant, type Kind } from '../../plugins/ollama-proxy/choosing/scheduler.ts'
import { HALF_LIFE_MS } from '../../plugins/ollama-proxy/choosing/shares.ts'
import { holds } from '../support/property.ts'
import { setPlaces } from './table.ts'

interface Running {
  readonly grant: Grant
  readonly client: string
  readonly endsAt: number
}

interface Client {
  readonly name: string
  /** Of each of its requests, ms. */
  readonly workMs: number
  /** How many it has waiting, always. */
  readonly backlog: number
}

interface Fair {
  /** How many requests of each were served. */
  readonly served: Map<string, number>
  /** How long slots worked for each, ms. */
  readonly usedMs: Map<string, number>
  readonly slots: number
}

/** Serves clients that always want more, for so many requests, and looks at the shares after each by `look`. */
function serve(
  clients: readonly Client[],
  slots: readonly number[],
  requests: number,
  look: (fair: Fair) => void,
): void {
  let now = 0
  const scheduler = createScheduler({ now: () => now })
  const kinds = [scheduler.addKind('one'), scheduler.addKind('two')]
  const keys = slots.map((_, index) => `participant ${index}`)
  for (const [index, key] of keys.entries()) scheduler.putSeat({ key, machine: key, slots: slots[index]! })
  // One kind can be served by all, the other by the first alone.
  setPlaces(kinds[0]!, ...keys)
  setPlaces(kinds[1]!, keys[0]!)
  const running: Running[] = []
  const count = () => new Map(clients.map(({ name }) => [name, 0]))
  const fair: Fair = { served: count(), usedMs: count(), slots: slots.reduce((sum, one) => sum + one) }
  const add = (counts: Map<string, number>, name: string, much: number) => counts.set(name, counts.get(name)! + much)
  const enter = (kind: Kind, { name, workMs }: Client): void => {
    const onGrant = (grant: Grant) => {
      running.push({ grant, client: name, endsAt: now + workMs })
      add(fair.served, name, 1)
      enter(kind, { name, workMs, backlog: 0 })
    }
    kind.enter({ client: name }, { onGrant: (grant) => void later.push(() => onGrant(grant)), onNobody: assert.fail })
  }
  // As in the hub, whoever is served goes on when the scheduler has done its work.
  const later: (() => void)[] = []
  const goOn = () => {
    for (let next = later.shift(); next !== undefined; next = later.shift()) next()
  }
  for (const kind of kinds) {
    for (const client of clients) for (let index = 0; index < client.backlog; index++) enter(kind, client)
  }
  goOn()
  for (let done = 0; done < requests; done++) {
    running.sort((one, other) => one.endsAt - other.endsAt)
    const { grant, client, endsAt } = running.shift()!
    now = endsAt
    add(fair.usedMs, client, clients.find(({ name }) => name === client)!.workMs)
    grant.release()
    goOn()
    look(fair)
  }
}

const spreadOf = (counts: Map<string, number>) => Math.max(...counts.values()) - Math.min(...counts.values())

const slotCounts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 })

/** By then it is known what their requests take: at first a long one looks like a short one. */
const UNDER_WAY = 150

t.test('clients that always want more of the same get the same, however many of their requests wait', async (t) => {
  const clientCounts = fc.integer({ min: 2, max: 6 })
  const works = fc.integer({ min: 1000, max: 2 * HALF_LIFE_MS })
  const property = fc.property(clientCounts, works, slotCounts, fc.nat({ max: 5 }), (count, workMs, slots, greedy) => {
    const clients = Array.from({ length: count }, (_, index) => ({
      name: `client ${index}`,
      workMs,
      backlog: index === greedy ? 30 : 3,
    }))
    let [seen, before] = [0, new Map<string, number>()]
    serve(clients, slots, 400, ({ served, slots: all }) => {
      seen += 1
      // Whoever comes first finds all slots free.
      assert.ok(spreadOf(served) <= 3 * all + 6, `${[...served.values()]} with ${all} slots`)
      if (seen <= UNDER_WAY) before = new Map(served)
      const since = new Map(Array.from(served, ([name, much]) => [name, much - before.get(name)!]))
      assert.ok(spreadOf(since) <= all + 1, `${[...since.values()]} with ${all} slots`)
    })
  })
  holds(t, 'equal work', property, 1000)
})

t.test('it is the work that is shared, not the number of requests', async (t) => {
  for (const [long, short] of [
    [10_000, 1000],
    [30_000, 1000],
    [20_000, 10_000],
  ] as const) {
    const clients = [
      { name: 'long', workMs: long, backlog: 40 },
      { name: 'short', workMs: short, backlog: 40 },
    ]
    let ratio = 0
    serve(clients, [1], 1000, ({ usedMs }) => {
      ratio = usedMs.get('long')! / usedMs.get('short')!
    })
    t.ok(ratio > 0.75 && ratio < 1.34, `${long} against ${short}: ${ratio}`)
  }
})

t.test('a hub that has run for days shares as on its first', async (t) => {
  const clients = ['a', 'b', 'c'].map((name) => ({ name, workMs: HALF_LIFE_MS / 2, backlog: 3 }))
  serve(clients, [1], 6000, ({ served }) => {
    if (spreadOf(served) > 2) t.fail(`${[...served.values()]}`)
  })
})
