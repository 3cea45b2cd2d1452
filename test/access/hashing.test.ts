import t from 'tap'
import { BEHIND_PROXY, from, knock, PASSWORD, startVault, watchHashing } from '../support/access.ts'
import { call } from '../support/hub.ts'

const MANY = { guessesPerMinute: 10_000 }

/** So many at once that some are turned away: two run, 128 wait. */
const FLOOD = 160

t.test('a right password is hashed once, and remembered', async (t) => {
  const { base } = await startVault(t)
  const hashing = watchHashing(t)
  for (let request = 0; request < 5; request += 1) t.equal(await knock(base, PASSWORD), 200)
  t.equal(hashing.total, 1)
})

t.test('a wrong one is hashed each time: nothing is remembered of it', async (t) => {
  const { base } = await startVault(t)
  const hashing = watchHashing(t)
  for (let request = 0; request < 3; request += 1) t.equal(await knock(base, 'a guess'), 401)
  t.equal(hashing.total, 3)
})

t.test('two at once, whoever asks for them', async (t) => {
  const { base, url } = await startVault(t, MANY)
  const hashing = watchHashing(t)
  const guesses = Array.from({ length: 8 }, (_, guess) => knock(base, `guess ${guess}`))
  const rooms = Array.from({ length: 4 }, () => call('POST', `${url}/rooms`, { name: 'Another', password: PASSWORD }))
  await Promise.all([...guesses, ...rooms])
  t.strictSame({ total: hashing.total, most: hashing.most }, { total: 12, most: 2 })
})

t.test('the hub answers others while it hashes', async (t) => {
  const { base, url } = await startVault(t, MANY)
  const hashing = watchHashing(t)
  const guesses = Promise.all(Array.from({ length: 30 }, (_, guess) => knock(base, `guess ${guess}`)))
  let answeredMeanwhile = 0
  while (hashing.total < 30) {
    const { status } = await call('GET', `${url}/health`)
    if (status === 200 && hashing.running > 0) answeredMeanwhile += 1
  }
  await guesses
  t.ok(answeredMeanwhile >= 15, `answered ${answeredMeanwhile} times`)
})

t.test('where too many wait, further ones are told to come back', async (t) => {
  const { base } = await startVault(t, MANY)
  const ask = (guess: number) =>
    call('GET', `${base}/participants`, undefined, { authorization: `Bearer guess ${guess}` })
  const answers = await Promise.all(Array.from({ length: FLOOD }, (_, guess) => ask(guess)))
  const busy = answers.filter(({ status }) => status === 503)
  t.ok(busy.length > 0)
  for (const { headers } of busy) t.equal(headers.get('retry-after'), '1')
  t.equal(answers.filter(({ status }) => status === 401).length, FLOOD - busy.length)
  t.equal(await knock(base, PASSWORD), 200)
})

// Nobody looked at it, so it was no guess.
t.test('who was told to come back has lost no guess', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 1, ...BEHIND_PROXY })
  const address = (index: number) => from(`192.0.2.${index + 1}`)
  const statuses = await Promise.all(
    Array.from({ length: FLOOD }, (_, index) => knock(base, 'a guess', address(index))),
  )
  const turnedAway = statuses.indexOf(503)
  t.not(turnedAway, -1)
  t.equal(await knock(base, PASSWORD, address(turnedAway)), 200)
})
