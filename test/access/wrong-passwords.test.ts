import t from 'tap'
import {
  BEHIND_PROXY,
  from,
  knock,
  mintKey,
  PASSWORD,
  startTimedVault,
  startVault,
  watchHashing,
} from '../support/access.ts'
import { call, join } from '../support/hub.ts'
import { bearer, type ManagedRoom, manageRoom } from '../support/managed.ts'

const HERE = from('192.0.2.10')
const ELSEWHERE = from('198.51.100.20')

async function guessWrong(base: string, times: number, headers: Record<string, string> = {}): Promise<number[]> {
  const statuses: number[] = []
  for (let guess = 0; guess < times; guess += 1) statuses.push(await knock(base, `guess ${guess}`, headers))
  return statuses
}

const times = (count: number, status: number) => Array.from({ length: count }, () => status)

/** A room from whose address nobody may guess any more. */
async function startHeldBack(...[t, options]: Parameters<typeof startVault>) {
  const vault = await startVault(t, { guessesPerMinute: 1, ...options })
  await guessWrong(vault.base, 2)
  return vault
}

t.test('ten wrong ones are answered, further ones held back', async (t) => {
  const { base } = await startVault(t)
  t.strictSame(await guessWrong(base, 13), [...times(10, 401), ...times(3, 429)])
})

t.test('who is held back is told until when', async (t) => {
  const { base, clock } = await startTimedVault(t, { guessesPerMinute: 1 })
  await guessWrong(base, 1)
  clock.advance(20_500)
  const { status, headers, body } = await call('GET', `${base}/participants`, undefined, bearer('a guess'))
  t.equal(status, 429)
  t.equal(headers.get('retry-after'), '40')
  t.match(body.error, 'try again in 40 s')
})

t.test('a minute later there are guesses again', async (t) => {
  const { base, clock } = await startTimedVault(t, { guessesPerMinute: 2 })
  t.strictSame(await guessWrong(base, 3), [401, 401, 429])
  clock.advance(59_999)
  t.strictSame(await guessWrong(base, 1), [429])
  clock.advance(1)
  t.strictSame(await guessWrong(base, 3), [401, 401, 429])
})

t.test('setting the clock gives nobody more guesses, and takes nobody any', async (t) => {
  const { base, clock } = await startTimedVault(t, { guessesPerMinute: 1 })
  await guessWrong(base, 1)
  clock.set(clock.now() + 3_600_000)
  t.strictSame(await guessWrong(base, 1), [429])
  clock.set(clock.now() - 7_200_000)
  clock.advance(60_000)
  t.strictSame(await guessWrong(base, 1), [401])
})

t.test('how many is an option', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 3 })
  t.strictSame(await guessWrong(base, 4), [401, 401, 401, 429])
})

t.test('another address is not held back', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 2, ...BEHIND_PROXY })
  t.strictSame(await guessWrong(base, 3, HERE), [401, 401, 429])
  t.strictSame(await guessWrong(base, 3, ELSEWHERE), [401, 401, 429])
  t.equal(await knock(base, PASSWORD, from('203.0.113.30')), 200)
})

t.test('another room is not held back', async (t) => {
  const { base, url } = await startHeldBack(t)
  const other = await manageRoom(url, { name: 'Other', password: PASSWORD })
  t.equal(await knock(base, PASSWORD), 429)
  t.equal(await knock(other.base, PASSWORD), 200)
})

t.test('who shows nothing does not guess', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 1 })
  const bodies = [undefined, { id: 'x', nickname: 'X', model: 'm', endpoint: 'http://127.0.0.1:1', password: null }]
  for (const body of [...bodies, ...bodies]) {
    const path = body === undefined ? '/participants' : '/join'
    t.equal((await call(body === undefined ? 'GET' : 'POST', `${base}${path}`, body)).status, 401)
  }
  t.equal(await knock(base, 'a guess'), 401)
  t.equal(await knock(base, 'a guess'), 429)
})

t.test('a wrong password in the body of a join is a guess like any other', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 2 })
  const entry = { id: 'x', nickname: 'X', model: 'm', endpoint: 'http://127.0.0.1:1', password: 'a guess' }
  const joinWrongly = async () => (await call('POST', `${base}/join`, entry)).status
  t.strictSame([await joinWrongly(), await knock(base, 'a guess'), await joinWrongly()], [401, 401, 429])
})

t.test('right ones are no guesses, however many', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 1 })
  for (let request = 0; request < 5; request += 1) t.equal(await knock(base, PASSWORD), 200)
  t.equal(await knock(base, 'a guess'), 401)
})

t.test('an unknown key in an open room is no guess', async (t) => {
  const { url } = await startVault(t, { guessesPerMinute: 1 })
  const { base } = await manageRoom(url)
  t.strictSame(await guessWrong(base, 5), times(5, 200))
})

async function tokensOf(room: ManagedRoom, url: string): Promise<string[]> {
  const { token } = await join(url, room.room.code, { password: PASSWORD })
  return [token, room.hostToken, (await mintKey(room)).key]
}

t.test('tokens and keys are never held back', async (t) => {
  const vault = await startVault(t, { guessesPerMinute: 1 })
  const tokens = await tokensOf(vault, vault.url)
  t.strictSame(await guessWrong(vault.base, 2), [401, 429])
  for (const token of tokens) t.equal(await knock(vault.base, token), 200)
})

t.test('nor is a password that was right before, from the same address', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 1 })
  t.equal(await knock(base, PASSWORD), 200)
  t.strictSame(await guessWrong(base, 2), [401, 429])
  t.equal(await knock(base, PASSWORD), 200)
})

t.test('heartbeats are never held back', async (t) => {
  const { base, room, url } = await startVault(t, { guessesPerMinute: 1 })
  await join(url, room.code, { password: PASSWORD })
  await guessWrong(base, 2)
  t.equal((await call('POST', `${base}/health`, { id: 'alice' })).status, 200)
  t.equal((await call('POST', `${base}/health`, { id: 'alice' }, bearer('a guess'))).status, 200)
})

// Else its guesses would go on at full speed: 429 would say wrong, and 200 right.
t.test('who is held back is not told a right guess from a wrong one, though others use that password', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 2, ...BEHIND_PROXY })
  t.equal(await knock(base, PASSWORD, HERE), 200)
  t.strictSame(await guessWrong(base, 3, ELSEWHERE), [401, 401, 429])
  t.equal(await knock(base, PASSWORD, ELSEWHERE), 429)
})

t.test('a hundred at once: ten are looked at', async (t) => {
  const { base } = await startVault(t)
  const hashing = watchHashing(t)
  const statuses = await Promise.all(Array.from({ length: 100 }, (_, guess) => knock(base, `guess ${guess}`)))
  t.equal(statuses.filter((status) => status === 401).length, 10)
  t.equal(statuses.filter((status) => status === 429).length, 90)
  t.equal(hashing.total, 10)
})

t.test('a password and an unknown key that are wrong get the same answer', async (t) => {
  const vault = await startVault(t)
  const { id, key } = await mintKey(vault)
  await call('DELETE', `${vault.base}/keys/${id}`, undefined, vault.asHost)
  const answers = []
  for (const wrong of ['a guess', key, `potluck-${vault.room.code}-${'x'.repeat(43)}`, vault.room.id]) {
    const { status, body } = await call('GET', `${vault.base}/participants`, undefined, bearer(wrong))
    answers.push({ status, body })
  }
  for (const answer of answers) t.strictSame(answer, { status: 401, body: { error: 'Invalid password' } })
})

t.test('a changed password ends the old one, also where it was right a moment ago', async (t) => {
  const { base, change } = await startVault(t)
  t.equal(await knock(base, PASSWORD), 200)
  t.equal((await change({ password: 'a new one' })).status, 200)
  t.equal(await knock(base, PASSWORD), 401)
  t.equal(await knock(base, 'a new one'), 200)
})

t.test('a password that comes back is looked at anew', async (t) => {
  const { base, change } = await startVault(t)
  t.equal(await knock(base, PASSWORD), 200)
  await change({ password: 'a new one' })
  await change({ password: PASSWORD })
  const hashing = watchHashing(t)
  t.equal(await knock(base, PASSWORD), 200)
  t.equal(hashing.total, 1)
})
