import { createHub } from '../../src/hub.ts'
import { type Route, randomFrom, type Target } from './crowd.ts'
import { costOf, type Machine, type Slot, type Work } from './machines.ts'

export interface Policy {
  readonly name: string
  start(machines: readonly Machine[], speedUp: number): Promise<Target & { stop(): Promise<void> }>
}

const PATH = '/v1/chat/completions'
const NOTHING_TO_STOP = async () => {}

const random: Policy = {
  name: 'random',
  async start(machines) {
    const next = randomFrom(7)
    const route = () => ({ url: `${(machines[Math.floor(next() * machines.length)] as Machine).url}${PATH}` })
    return { route, stop: NOTHING_TO_STOP }
  },
}

const roundRobin: Policy = {
  name: 'round robin',
  async start(machines) {
    let turn = 0
    return {
      route: () => ({ url: `${(machines[turn++ % machines.length] as Machine).url}${PATH}` }),
      stop: NOTHING_TO_STOP,
    }
  },
}

const leastConnections: Policy = {
  name: 'least connections',
  async start(machines) {
    const open = machines.map(() => 0)
    return {
      route() {
        const index = open.indexOf(Math.min(...open))
        open[index] = (open[index] ?? 0) + 1
        return {
          url: `${(machines[index] as Machine).url}${PATH}`,
          onEnd: () => {
            open[index] = (open[index] ?? 0) - 1
          },
        }
      },
      stop: NOTHING_TO_STOP,
    }
  },
}

interface PlannedSlot extends Slot {
  freeAt: number
}

/** Knows how long everything takes, and sends each request where its first token comes soonest. */
const oracle: Policy = {
  name: 'oracle',
  async start(machines, speedUp) {
    const plans = machines.map(({ spec }) =>
      Array.from({ length: spec.slots }, (): PlannedSlot => ({ cached: '', isBusy: false, lastUsed: 0, freeAt: 0 })),
    )
    const now = () => performance.now() * speedUp
    return {
      route(_person: number, work: Work) {
        let best: { index: number; slot: PlannedSlot; firstAt: number; endAt: number } | undefined
        for (const [index, { spec }] of machines.entries()) {
          for (const slot of plans[index] as PlannedSlot[]) {
            const { readMs, writeMs } = costOf(spec, slot.cached, work)
            const firstAt = Math.max(now(), slot.freeAt) + readMs
            if (best === undefined || firstAt < best.firstAt) best = { index, slot, firstAt, endAt: firstAt + writeMs }
          }
        }
        const { index, slot, endAt } = best as NonNullable<typeof best>
        slot.freeAt = endAt
        slot.cached = work.prompt
        return { url: `${(machines[index] as Machine).url}${PATH}` }
      },
      stop: NOTHING_TO_STOP,
    }
  },
}

/** The same knowledge; but nobody waits while a slot is free, however slow, and then it is first come first served. */
const eagerOracle: Policy = {
  name: 'oracle that leaves no slot free',
  async start(machines) {
    const slots = machines.flatMap((machine) =>
      Array.from({ length: machine.spec.slots }, () => ({ machine, cached: '', isBusy: false })),
    )
    const waiting: { work: Work; go(route: Route): void }[] = []

    function bestFree(work: Work): (typeof slots)[number] | undefined {
      const readMs = ({ machine, cached }: (typeof slots)[number]) => costOf(machine.spec, cached, work).readMs
      const free = slots.filter(({ isBusy }) => !isBusy)
      return free.sort((one, other) => readMs(one) - readMs(other))[0]
    }

    function take(slot: (typeof slots)[number], work: Work): Route {
      slot.isBusy = true
      slot.cached = work.prompt
      return {
        url: `${slot.machine.url}${PATH}`,
        onEnd() {
          slot.isBusy = false
          const next = waiting.shift()
          next?.go(take(slot, next.work))
        },
      }
    }

    return {
      route(_person, work) {
        const slot = bestFree(work)
        return slot === undefined ? new Promise((go) => waiting.push({ work, go })) : take(slot, work)
      },
      stop: NOTHING_TO_STOP,
    }
  },
}

/** Everybody has a key. */
export const MAX_PEOPLE = 64

/** A hub with a room where everybody has a key of their own. */
const potluck: Policy = {
  name: 'Potluck',
  async start(machines, speedUp) {
    // What it measures, and what it forgets as time goes by, is in the time of the crowd.
    const clock = { now: Date.now, elapsed: () => performance.now() * speedUp }
    const hub = createHub({ host: '127.0.0.1', port: 0, offlineAfterMs: 86_400_000, learnIntervalMs: 0, clock })
    const url = await hub.listen()
    const post = async <T>(path: string, body: object, token?: string): Promise<T> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
      return (await response.json()) as T
    }
    const { room, hostToken } = await post<{ room: { code: string }; hostToken: string }>('/rooms', { name: 'People' })
    for (const { spec, url: endpoint } of machines) {
      const { name, slots } = spec
      await post(`/rooms/${room.code}/join`, { id: name, nickname: name, model: 'kitchen', endpoint, slots })
    }
    const keys: string[] = []
    for (let person = 0; person < MAX_PEOPLE; person++)
      keys.push((await post<{ key: string }>(`/rooms/${room.code}/keys`, { name: `person ${person}` }, hostToken)).key)
    return {
      route: (person) => ({
        url: `${url}/rooms/${room.code}${PATH}`,
        headers: { authorization: `Bearer ${keys[person]}` },
      }),
      stop: () => hub.close(),
    }
  },
}

export const POLICIES: readonly Policy[] = [oracle, eagerOracle, potluck, leastConnections, roundRobin, random]

/** Whatever balances behind a URL of its own: the same people are sent there. */
export function remote(url: string): Policy {
  return {
    name: url,
    start: async () => ({
      route: () => ({ url: `${url.replace(/\/+$/, '')}/chat/completions` }),
      stop: NOTHING_TO_STOP,
    }),
  }
}
