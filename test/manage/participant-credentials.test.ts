import t, { type Test } from 'tap'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'

/** Two rooms with two participants each, and everybody's token. */
async function startRooms(t: Test) {
  const { url } = await startHub(t)
  const [kitchen, garden] = [await manageRoom(url), await manageRoom(url, { name: 'Garden' })]
  const alice = await join(url, kitchen.room.code, { id: 'alice' })
  const bob = await join(url, kitchen.room.code, { id: 'bob' })
  const other = await join(url, garden.room.code, { id: 'alice' })
  const change = (body: Record<string, unknown>, token?: string) => kitchen.changeParticipant('alice', body, token)
  return { url, kitchen, garden, alice, bob, other, change }
}

const SLOTS = { slots: 2 }
const PAUSE = { paused: true }

t.test('the participant itself may change everything', async (t) => {
  const { alice, change } = await startRooms(t)
  const all = { models: ['qwen3:8b'], config: { seed: 7 }, specs: { ram: 32 }, slots: 2, paused: true }
  const { status, body } = await change(all, alice.token)
  t.equal(status, 200)
  t.hasStrict(body.participant, all)
})

t.test('the host may set `paused` alone', async (t) => {
  const { kitchen, change } = await startRooms(t)
  t.equal((await change(PAUSE, kitchen.hostToken)).status, 200)
  t.equal((await change({ paused: false }, kitchen.hostToken)).status, 200)
})

t.test('the host may change nothing else, not even together with `paused`: 403', async (t) => {
  const { kitchen, change } = await startRooms(t)
  for (const body of [SLOTS, { models: ['x'] }, { config: {} }, { specs: {} }, { ...PAUSE, ...SLOTS }]) {
    const { status, body: answer } = await change(body, kitchen.hostToken)
    t.equal(status, 403, JSON.stringify(body))
    t.match(answer.error, /This participant is not yours/)
  }
  t.notOk('paused' in (await kitchen.look('alice')).body.participant)
})

t.test("another participant's token: 403", async (t) => {
  const { bob, change } = await startRooms(t)
  for (const body of [SLOTS, PAUSE, {}]) t.equal((await change(body, bob.token)).status, 403)
})

t.test('no token, or one that is unknown: 401', async (t) => {
  const { change } = await startRooms(t)
  for (const body of [SLOTS, PAUSE]) {
    for (const token of [undefined, 'guessed', 'x'.repeat(512)]) {
      const { status, body: answer } = await change(body, token)
      t.equal(status, 401)
      t.match(answer.error, /Authorization: Bearer <token>/)
    }
  }
})

t.test('from the address that it joined from, a change takes the token all the same', async (t) => {
  const { kitchen } = await startRooms(t)
  t.equal((await call('POST', `${kitchen.base}/health`, { id: 'alice' })).status, 200, 'the address speaks for it')
  t.equal((await call('PATCH', `${kitchen.base}/participants/alice`, SLOTS)).status, 401)
})

t.test('whoever is somebody in another room is nobody here: 401', async (t) => {
  const { garden, other, kitchen, change } = await startRooms(t)
  for (const token of [garden.hostToken, other.token]) {
    for (const body of [SLOTS, PAUSE]) t.equal((await change(body, token)).status, 401)
    const headers = bearer(token)
    t.equal((await call('DELETE', `${kitchen.base}/participants/alice`, undefined, headers)).status, 401)
    t.equal((await kitchen.change({ name: 'Mine' }, headers)).status, 401)
    t.equal((await kitchen.close(headers)).status, 401)
  }
})

t.test('`hostId` and `roomId` prove nothing: they are names', async (t) => {
  const { kitchen, alice, change } = await startRooms(t)
  for (const name of [kitchen.hostId, alice.roomId, 'alice']) t.equal((await change(PAUSE, name)).status, 401)
})

t.test('a token that comes in another way is none', async (t) => {
  const { kitchen, alice } = await startRooms(t)
  const path = `${kitchen.base}/participants/alice`
  for (const headers of [
    { authorization: alice.token },
    { authorization: `Basic ${alice.token}` },
    { authorization: `Bearer ${alice.token} x` },
    { cookie: `token=${alice.token}` },
  ] as Record<string, string>[]) {
    t.equal((await call('PATCH', path, SLOTS, headers)).status, 401, JSON.stringify(Object.keys(headers)))
  }
  t.equal((await call('PATCH', `${path}?token=${alice.token}`, SLOTS)).status, 401)
})

t.test('a refusal changes nothing', async (t) => {
  const { kitchen, garden, bob, alice, change } = await startRooms(t)
  for (const token of [bob.token, garden.hostToken, 'guessed', undefined]) await change({ ...SLOTS, ...PAUSE }, token)
  t.strictSame((await kitchen.look('alice')).body.participant, alice.participant)
})

t.test('the token of who has left is unknown: 401', async (t) => {
  const { kitchen, bob, change } = await startRooms(t)
  await call('DELETE', `${kitchen.base}/leave/bob`, undefined, bearer(bob.token))
  t.equal((await change(SLOTS, bob.token)).status, 401)
})

t.test('a participant that does not exist is 404, whoever asks', async (t) => {
  const { kitchen, alice } = await startRooms(t)
  for (const token of [kitchen.hostToken, alice.token]) {
    t.equal((await kitchen.changeParticipant('carol', PAUSE, token)).status, 404)
  }
})
