import { createHook } from 'node:async_hooks'
import { argon2Sync } from 'node:crypto'
import t from 'tap'
import { createPasswords } from '../../plugins/access/passwords.ts'

t.test('the right password is verified, a wrong one is not', async (t) => {
  const passwords = createPasswords()
  const hash = await passwords.hash('correct horse')
  t.equal(await passwords.verify('correct horse', hash), true)
  for (const wrong of ['correct horsE', 'correct horse ', '', 'correct'])
    t.equal(await passwords.verify(wrong, hash), false, wrong)
})

t.test('a password is any text, taken as it is', async (t) => {
  const passwords = createPasswords()
  for (const password of ['пароль 🔑', 'a\u0000b', ' ', 'x'.repeat(256)]) {
    t.equal(await passwords.verify(password, await passwords.hash(password)), true)
  }
  // The same letter in two forms is two passwords: nobody normalizes.
  t.equal(await passwords.verify('e\u0301', await passwords.hash('\u00e9')), false)
  t.equal(await passwords.verify('a\u0000c', await passwords.hash('a\u0000b')), false)
})

t.test('each hash has a salt of its own and shows nothing of the password', async (t) => {
  const passwords = createPasswords()
  const [first, second] = [await passwords.hash('secret'), await passwords.hash('secret')]
  t.match(first, /^[0-9a-f]{32}:[0-9a-f]{64}$/)
  t.not(first, second)
  t.not(first?.split(':')[0], second?.split(':')[0])
})

// OWASP's minimum for argon2id; less would be cheaper to guess.
t.test('it is argon2id with 19 MiB, two passes and one lane', async (t) => {
  const [salt = '', key] = (await createPasswords().hash('secret')).split(':')
  const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 }
  const derived = argon2Sync('argon2id', { ...cost, message: 'secret', nonce: Buffer.from(salt, 'hex') })
  t.equal(derived.toString('hex'), key)
})

/** Counts the derivations that run in the thread pool, most at once. */
function watchDerivations() {
  const running = new Set<number>()
  const seen = { total: 0, most: 0 }
  const hook = createHook({
    init(id, type) {
      if (type !== 'ARGON2REQUEST') return
      running.add(id)
      seen.total += 1
      seen.most = Math.max(seen.most, running.size)
    },
    before: (id) => running.delete(id),
  }).enable()
  return { seen, stop: () => hook.disable() }
}

t.test('two at once, never more, and all of them in the end', async (t) => {
  const passwords = createPasswords()
  const hash = await passwords.hash('secret')
  const { seen, stop } = watchDerivations()
  t.teardown(stop)
  const hashes = Array.from({ length: 4 }, () => passwords.hash('secret'))
  const verdicts = await Promise.all(
    Array.from({ length: 4 }, (_, index) => passwords.verify(`secret${index || ''}`, hash)),
  )
  await Promise.all(hashes)
  t.strictSame(verdicts, [true, false, false, false])
  t.strictSame(seen, { total: 8, most: 2 })
})

t.test('a derivation that fails gives its turn to the next', async (t) => {
  const passwords = createPasswords()
  const broken = Array.from({ length: 6 }, () => t.rejects(passwords.verify('secret', 'no hash at all')))
  await Promise.all(broken)
  t.equal(await passwords.verify('secret', await passwords.hash('secret')), true)
})
