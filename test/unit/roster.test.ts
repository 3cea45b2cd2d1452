import fc from 'fast-check'
import t from 'tap'
import { type Place, Roster } from '../../schemas/roster.ts'
import { holds } from '../support/property.ts'

t.test('holds what was added and has not left, whatever the order', async (t) => {
  const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat(100)), { maxLength: 200 })
  holds(
    t,
    'roster',
    fc.property(steps, (chosen) => {
      const roster = new Roster<number>()
      const places: Place<number>[] = []
      chosen.forEach((step, index) => {
        if (step === 'add') places.push(roster.add(index))
        else if (places.length > 0) roster.remove(places.splice(step % places.length, 1)[0] as Place<number>)
      })
      const held = roster.items().sort((one, other) => one - other)
      return (
        roster.size === places.length && String(held) === String(places.map(({ item }) => item).sort((a, b) => a - b))
      )
    }),
    500,
  )
})

t.test('who has left leaves no more', async (t) => {
  const roster = new Roster<string>()
  const [first, second] = [roster.add('first'), roster.add('second')]
  roster.remove(first)
  roster.remove(first)
  t.strictSame(roster.items(), ['second'])
  roster.remove(second)
  roster.remove(second)
  t.equal(roster.size, 0)
})
