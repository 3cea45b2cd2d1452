import fc from 'fast-check'
import t from 'tap'
import type { PlaceState, SeatState } from '../../plugins/ollama-proxy/choosing/scheduler.ts'
import { holds } from '../support/property.ts'
import { KINDS, type Step, World } from './world.ts'

const KEYS = ['alice', 'bob', 'carol', 'dave', 'erin'] as const
const MACHINES = ['m1', 'm2', 'm3'] as const
const CLIENTS = ['x', 'y', 'z'] as const

const keys = fc.constantFrom(...KEYS)
const kinds = fc.nat({ max: KINDS - 1 })
const slots = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(64, 1_000_000, Number.MAX_SAFE_INTEGER) },
)
const closed = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constantFrom('paused', 'offline', 'failing').map((why) => ({ closed: why })) },
) as fc.Arbitrary<Pick<SeatState, 'closed'>>
const seats = fc
  .record({ key: keys, machine: fc.constantFrom(...MACHINES), slots, closed })
  .map(({ closed: why, ...seat }): SeatState => ({ ...seat, ...why }))
const places = fc.uniqueArray(
  fc.record({
    key: keys,
    model: fc.constantFrom('llama', 'llama:latest'),
    isLoaded: fc.constantFrom({}, { isLoaded: true }, { isLoaded: false }),
    isUnable: fc.constantFrom({}, {}, { isUnable: true }),
  }),
  { selector: ({ key }) => key, minLength: 1, maxLength: KEYS.length },
)
const enters = fc.record({
  do: fc.constant('enter' as const),
  kind: kinds,
  client: fc.constantFrom(...CLIENTS),
  owns: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.subarray([...KEYS]) }),
  isInstant: fc.nat({ max: 9 }).map((dice) => dice === 0),
})
/** Seconds go by, sometimes years, and sometimes somebody sets the clock back. */
const clocks = fc.oneof(
  fc.integer({ min: 0, max: 600_000 }),
  fc.constantFrom(-1e12, 0, 1e9, 1e12, Number.MAX_SAFE_INTEGER),
)
const picks = fc.record({
  do: fc.constantFrom('release' as const, 'release' as const, 'again' as const, 'leave' as const),
  which: fc.nat({ max: 100 }),
})

const putStep = seats.map((seat): Step => ({ do: 'put', seat }))
const setStep = fc
  .record({ kind: kinds, places })
  .map(({ kind, places: all }): Step => ({ do: 'set', kind, places: all.map(asPlace) }))

function asPlace({
  key,
  model,
  isLoaded,
  isUnable,
}: {
  key: string
  model: string
  isLoaded: { isLoaded?: boolean }
  isUnable: { isUnable?: boolean }
}): PlaceState {
  return { key, model, ...isLoaded, ...isUnable }
}

const steps = fc.oneof(
  { weight: 10, arbitrary: enters as fc.Arbitrary<Step> },
  { weight: 9, arbitrary: picks as fc.Arbitrary<Step> },
  { weight: 3, arbitrary: putStep },
  { weight: 2, arbitrary: setStep },
  { weight: 1, arbitrary: keys.map((key): Step => ({ do: 'remove', key })) },
  { weight: 2, arbitrary: clocks.map((now): Step => ({ do: 'clock', now })) },
)

/** Some are there from the beginning. */
const beginnings = fc.tuple(fc.array(putStep, { maxLength: 5 }), fc.array(setStep, { minLength: 1, maxLength: 4 }))

t.test('whatever happens, slots are kept to, nothing is lost, nobody waits for what is free', async (t) => {
  const property = fc.property(beginnings, fc.array(steps, { maxLength: 60, size: 'max' }), ([puts, sets], script) => {
    const world = new World()
    for (const step of [...puts, ...sets, ...script]) world.take(step)
    world.end()
  })
  holds(t, 'scheduler', property, 4000)
})
