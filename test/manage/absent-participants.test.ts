import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, join } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

const HOUR_MS = 3_600_000
const SILENCE_MS = 31_000

async function startRoom(t: Test) {
  const timed = await startTimedHub(t, { participantTtlMs: HOUR_MS })
  const managed = await manageRoom(timed.url)
  const { token } = await join(timed.url, managed.room.code)
  const ids = async () => {
    const { body } = await call<{ participants: Participant[] }>('GET', `${managed.base}/participants`)
    return body.participants.map(({ id }) => id)
  }
  return { ...timed, ...managed, token, ids }
}

t.test('who stays away for `participantTtlMs` is removed, and not before', async (t) => {
  const { pass, ids } = await startRoom(t)
  await pass(SILENCE_MS)
  await pass(HOUR_MS)
  t.strictSame(await ids(), ['alice'])
  await pass(1000)
  t.strictSame(await ids(), [])
})

t.test('`participant:left` says why: expired; once, behind `participant:offline`', async (t) => {
  const { base, pass } = await startRoom(t)
  const reader = await readEvents(t, `${base}/events`)
  await pass(SILENCE_MS)
  await pass(2 * HOUR_MS)
  t.strictSame((await reader.next('participant:offline')).data, { participantId: 'alice' })
  t.strictSame((await reader.next('participant:left')).data, { participantId: 'alice', reason: 'expired' })
  await pass(2 * HOUR_MS)
  t.equal(reader.frames.filter(({ event }) => event === 'participant:left').length, 1)
})

t.test('time that was spent online does not count', async (t) => {
  const { base, pass, ids, token } = await startRoom(t)
  for (let passed = 0; passed < 2 * HOUR_MS; passed += HOUR_MS / 2) {
    await pass(SILENCE_MS)
    await pass(HOUR_MS / 2)
    await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  }
  t.strictSame(await ids(), ['alice'])
})

t.test('looking at it or changing it by its host brings nobody back', async (t) => {
  const { base, hostToken, changeParticipant, pass, ids } = await startRoom(t)
  await pass(SILENCE_MS)
  await pass(HOUR_MS / 2)
  await call('GET', `${base}/participants/alice`)
  t.equal((await changeParticipant('alice', { paused: true }, hostToken)).body.participant.status, 'offline')
  await pass(HOUR_MS / 2 + 1000)
  t.strictSame(await ids(), [])
})

t.test('who has expired has no place any more: its token is worth nothing, its id is free', async (t) => {
  const { url, room, base, changeParticipant, pass, token } = await startRoom(t)
  await pass(SILENCE_MS)
  await pass(2 * HOUR_MS)
  const beat = await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  t.strictSame([beat.status, beat.body], [404, { error: 'Participant not found' }])
  const anew = await join(url, room.code)
  t.not(anew.token, token)
  t.equal((await changeParticipant('alice', { slots: 2 }, token)).status, 401)
})

t.test('a model that only the expired one offered is free to be somebody’s id', async (t) => {
  const { url, room, pass } = await startRoom(t)
  await pass(SILENCE_MS)
  await pass(2 * HOUR_MS)
  t.ok(await join(url, room.code, { id: 'llama3.2:3b', model: 'qwen3:8b' }))
})

t.test('only who is away expires: the others stay', async (t) => {
  const { url, room, base, pass, ids } = await startRoom(t)
  const { token } = await join(url, room.code, { id: 'bob' })
  for (let passed = 0; passed < 1.2 * HOUR_MS; passed += 20_000) {
    await pass(20_000)
    await call('POST', `${base}/health`, { id: 'bob' }, bearer(token))
  }
  t.strictSame(await ids(), ['bob'])
})
