import t from 'tap'
import { createVerified, MAX_VERIFIED } from '../../plugins/access/verified.ts'

const HOME = '192.168.1.20'

/** Elsewhere, the same password must be found right anew: else its quick answer would tell guesses apart. */
t.test('it is known from where it came alone', async (t) => {
  const verified = createVerified()
  verified.add('hash', 'secret', HOME)
  t.equal(verified.has('hash', 'secret', '192.168.1.21'), false)
})

t.test('a password is known once it was found right, and nothing else is', async (t) => {
  const verified = createVerified()
  t.equal(verified.has('hash', 'secret', HOME), false)
  verified.add('hash', 'secret', HOME)
  t.equal(verified.has('hash', 'secret', HOME), true)
  for (const other of ['Secret', 'secret ', '', 'secre']) t.equal(verified.has('hash', other, HOME), false, other)
})

t.test('it is known for the hash that it was right for alone', async (t) => {
  const verified = createVerified()
  verified.add('hash', 'secret', HOME)
  for (const other of ['another hash', '', 'has']) t.equal(verified.has(other, 'secret', HOME), false)
})

t.test('the line between hash and password cannot be moved', async (t) => {
  const verified = createVerified()
  verified.add('ab:cd', 'secret', HOME)
  t.equal(verified.has('ab', ':cdsecret', HOME), false)
  t.equal(verified.has('ab:cds', 'ecret', HOME), false)
})

t.test('what one hub knows another does not', async (t) => {
  createVerified().add('hash', 'secret', HOME)
  t.equal(createVerified().has('hash', 'secret', HOME), false)
})

t.test('no more than so many are remembered: what was not used for longest goes first', async (t) => {
  const verified = createVerified()
  for (let index = 0; index < MAX_VERIFIED; index += 1) verified.add('hash', `password ${index}`, HOME)
  t.equal(verified.has('hash', 'password 0', HOME), true)
  verified.add('hash', 'one more', HOME)
  t.equal(verified.has('hash', 'password 1', HOME), false)
  for (const kept of ['password 0', 'password 2', 'one more']) t.equal(verified.has('hash', kept, HOME), true, kept)
})

t.test('the same one again takes no further place', async (t) => {
  const verified = createVerified()
  verified.add('hash', 'first', HOME)
  for (let index = 0; index < MAX_VERIFIED + 10; index += 1) verified.add('hash', 'second', HOME)
  t.equal(verified.has('hash', 'first', HOME), true)
})
