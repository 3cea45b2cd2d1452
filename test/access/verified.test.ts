import t from 'tap'
import { createVerified, MAX_VERIFIED } from '../../plugins/access/verified.ts'

t.test('a password is known once it was found right, and nothing else is', async (t) => {
  const verified = createVerified()
  t.equal(verified.has('hash', 'secret'), false)
  verified.add('hash', 'secret')
  t.equal(verified.has('hash', 'secret'), true)
  for (const other of ['Secret', 'secret ', '', 'secre']) t.equal(verified.has('hash', other), false, other)
})

t.test('it is known for the hash that it was right for alone', async (t) => {
  const verified = createVerified()
  verified.add('hash', 'secret')
  for (const other of ['another hash', '', 'has']) t.equal(verified.has(other, 'secret'), false)
})

t.test('the line between hash and password cannot be moved', async (t) => {
  const verified = createVerified()
  verified.add('ab:cd', 'secret')
  t.equal(verified.has('ab', ':cdsecret'), false)
  t.equal(verified.has('ab:cds', 'ecret'), false)
})

t.test('what one hub knows another does not', async (t) => {
  createVerified().add('hash', 'secret')
  t.equal(createVerified().has('hash', 'secret'), false)
})

t.test('no more than so many are remembered: what was not used for longest goes first', async (t) => {
  const verified = createVerified()
  for (let index = 0; index < MAX_VERIFIED; index += 1) verified.add('hash', `password ${index}`)
  t.equal(verified.has('hash', 'password 0'), true)
  verified.add('hash', 'one more')
  t.equal(verified.has('hash', 'password 1'), false)
  for (const kept of ['password 0', 'password 2', 'one more']) t.equal(verified.has('hash', kept), true, kept)
})

t.test('the same one again takes no further place', async (t) => {
  const verified = createVerified()
  verified.add('hash', 'first')
  for (let index = 0; index < MAX_VERIFIED + 10; index += 1) verified.add('hash', 'second')
  t.equal(verified.has('hash', 'first'), true)
})
