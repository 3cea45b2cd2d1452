import t from 'tap'
import { createGuesses, MAX_WINDOWS } from '../../plugins/access/guesses.ts'
import { waitSaid } from '../support/access.ts'
import { manualClock } from '../support/clock.ts'

function build(perMinute = 2) {
  const clock = manualClock()
  return { clock, guesses: createGuesses({ clock, perMinute }) }
}

t.test('so many a minute, per address and room', async (t) => {
  const { guesses } = build()
  guesses.begin('10.0.0.1', 'a')
  guesses.begin('10.0.0.1', 'a')
  t.throws(() => guesses.begin('10.0.0.1', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
  t.equal(
    waitSaid(() => guesses.begin('10.0.0.1', 'a')),
    60,
  )
  t.doesNotThrow(() => guesses.begin('10.0.0.2', 'a'))
  t.doesNotThrow(() => guesses.begin('10.0.0.1', 'b'))
})

t.test('a guess that was right is given back, and held ones cost nothing more', async (t) => {
  const { guesses } = build(1)
  guesses.begin('10.0.0.1', 'a')()
  const takeBack = guesses.begin('10.0.0.1', 'a')
  for (let more = 0; more < 5; more += 1)
    t.throws(() => guesses.begin('10.0.0.1', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
  takeBack()
  t.doesNotThrow(() => guesses.begin('10.0.0.1', 'a'))
})

t.test('a minute begins with its first guess, and ends at its end', async (t) => {
  const { clock, guesses } = build(1)
  clock.advance(30_000)
  guesses.begin('10.0.0.1', 'a')
  clock.advance(59_999)
  t.equal(
    waitSaid(() => guesses.begin('10.0.0.1', 'a')),
    1,
  )
  clock.advance(1)
  t.doesNotThrow(() => guesses.begin('10.0.0.1', 'a'))
})

t.test('a guess of the last minute that turns out right gives nobody one of this minute', async (t) => {
  const { clock, guesses } = build(1)
  const takeBack = guesses.begin('10.0.0.1', 'a')
  clock.advance(60_000)
  guesses.begin('10.0.0.1', 'a')
  takeBack()
  t.throws(() => guesses.begin('10.0.0.1', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
})

t.test('the time of day does not matter', async (t) => {
  const { clock, guesses } = build(1)
  guesses.begin('10.0.0.1', 'a')
  for (const jump of [3_600_000, -7_200_000]) {
    clock.set(clock.now() + jump)
    t.equal(
      waitSaid(() => guesses.begin('10.0.0.1', 'a')),
      60,
    )
  }
})

t.test('addresses of one /64 are one', async (t) => {
  const { guesses } = build(1)
  guesses.begin('2001:db8:1:2::1', 'a')
  for (const address of ['2001:db8:1:2::2', '2001:db8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2:3:4:5:6%eth0'])
    t.throws(() => guesses.begin(address, 'a'), { code: 'PTL_TOO_MANY_GUESSES' }, address)
  for (const address of ['2001:db8:1:3::1', '2001:db8::1', '2001:db8:1::2', '::1', 'fe80::1%eth0'])
    t.doesNotThrow(() => guesses.begin(address, 'a'), address)
})

t.test('an abbreviated address is the one that it stands for', async (t) => {
  const { guesses } = build(1)
  guesses.begin('2001:db8::5:6:7:8', 'a')
  t.throws(() => guesses.begin('2001:db8:0:0:1:2:3:4', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
  guesses.begin('fd00:0:0:1::9', 'a')
  t.throws(() => guesses.begin('fd00::1:0:0:0:9', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
})

t.test('no more than so many are remembered: the oldest go first', async (t) => {
  const { guesses } = build(1)
  for (let index = 0; index <= MAX_WINDOWS; index += 1) guesses.begin(`address-${index}`, 'a')
  t.throws(() => guesses.begin(`address-${MAX_WINDOWS}`, 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
  t.throws(() => guesses.begin('address-1', 'a'), { code: 'PTL_TOO_MANY_GUESSES' })
  t.doesNotThrow(() => guesses.begin('address-0', 'a'))
})
