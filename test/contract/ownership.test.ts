import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, type Joined, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

/** Documentation addresses (RFC 5737): they stand in a header, nothing is ever sent there. */
const HOME = '192.0.2.10'
const ELSEWHERE = '198.51.100.20'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://10.1.2.3:11434' }

interface Caller {
  from: string
  token?: string
}

/** A room behind a trusted proxy, so that a request can come from any address. */
async function startRoom(t: Test) {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const opened = await openRoom(url)
  const base = `${url}/rooms/${opened.room.code}`
  const headersOf = ({ from, token }: Caller) => ({
    'x-forwarded-for': from,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  })
  return {
    ...opened,
    url,
    base,
    join: (caller: Caller, body: object = {}) =>
      call<Joined & { error?: string }>('POST', `${base}/join`, { ...ALICE, ...body }, headersOf(caller)),
    leave: (caller: Caller) => call('DELETE', `${base}/leave/alice`, undefined, headersOf(caller)),
    beat: (caller: Caller) => call('POST', `${base}/health`, { id: 'alice' }, headersOf(caller)),
    participants: async () =>
      (await call<{ participants: Participant[] }>('GET', `${base}/participants`)).body.participants,
  }
}

t.test(
  'base clients know no tokens: they may heartbeat, join again and leave from the address they joined from',
  async (t) => {
    const room = await startRoom(t)
    await room.join({ from: HOME })
    t.equal((await room.beat({ from: HOME })).status, 200)
    t.equal((await room.join({ from: HOME }, { nickname: 'Alice II' })).status, 201)
    t.equal((await room.participants())[0]?.nickname, 'Alice II')
    t.equal((await room.leave({ from: HOME })).status, 200)
  },
)

t.test('from another address nobody may leave for a participant: 401', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  t.equal((await room.leave({ from: ELSEWHERE })).status, 401)
  t.equal((await room.participants()).length, 1)
})

t.test('from another address nobody may send a heartbeat for a participant: 401', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  t.equal((await room.beat({ from: ELSEWHERE })).status, 401)
})

t.test('nobody takes over a participant by joining with its id: 409, and nothing changes', async (t) => {
  const room = await startRoom(t)
  const { body: joined } = await room.join({ from: HOME })
  const reader = await readEvents(t, `${room.base}/events`)
  const { status, body } = await room.join(
    { from: ELSEWHERE },
    { nickname: 'Mallory', endpoint: 'http://10.1.2.4:11434' },
  )
  t.equal(status, 409)
  t.match(body.error, /id is in use/)
  t.strictSame(await room.participants(), [joined.participant])
  t.strictSame(await eventsSoFar(room.url, reader), ['connected'])
})

t.test('the join token (Authorization: Bearer) works from any address', async (t) => {
  const room = await startRoom(t)
  const { token } = (await room.join({ from: HOME })).body
  t.equal((await room.beat({ from: ELSEWHERE, token })).status, 200)
  t.equal((await room.join({ from: ELSEWHERE, token }, { nickname: 'On the road' })).status, 201)
  t.equal((await room.leave({ from: ELSEWHERE, token })).status, 200)
})

t.test("the scheme's case does not matter: `bearer` is Bearer", async (t) => {
  const room = await startRoom(t)
  const { token } = (await room.join({ from: HOME })).body
  const headers = { authorization: `bearer ${token}`, 'x-forwarded-for': ELSEWHERE }
  t.equal((await call('DELETE', `${room.base}/leave/alice`, undefined, headers)).status, 200)
})

t.test('the address speaks for it only as long as the participant never used its token: heartbeat', async (t) => {
  const room = await startRoom(t)
  const { token } = (await room.join({ from: HOME })).body
  await room.beat({ from: HOME, token })
  t.equal((await room.beat({ from: HOME })).status, 401)
  t.equal((await room.leave({ from: HOME })).status, 401)
  t.equal((await room.join({ from: HOME })).status, 409)
  t.equal((await room.leave({ from: HOME, token })).status, 200)
})

t.test('the address speaks for it only as long as the participant never used its token: join', async (t) => {
  const room = await startRoom(t)
  const { token } = (await room.join({ from: HOME })).body
  await room.join({ from: HOME, token })
  t.equal((await room.join({ from: HOME })).status, 409)
  t.equal((await room.beat({ from: HOME })).status, 401)
})

t.test('a wrong token does not end the address rule', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  await room.beat({ from: ELSEWHERE, token: 'guessed' })
  t.equal((await room.beat({ from: HOME })).status, 200)
})

t.test('who joins again with its token keeps it', async (t) => {
  const room = await startRoom(t)
  const { token } = (await room.join({ from: HOME })).body
  const again = await room.join({ from: ELSEWHERE, token })
  t.equal((await room.beat({ from: ELSEWHERE, token: again.body.token })).status, 200)
  t.equal((await room.beat({ from: ELSEWHERE, token })).status, 200)
})

t.test('who joins again by its address gets a token that works', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  const { token } = (await room.join({ from: HOME })).body
  t.equal((await room.leave({ from: ELSEWHERE, token })).status, 200)
})

t.test('joining again keeps one participant, the newest in the order of joining', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  await room.join({ from: HOME }, { id: 'bob' })
  await room.join({ from: HOME })
  t.strictSame(
    (await room.participants()).map(({ id }) => id),
    ['bob', 'alice'],
  )
})

t.test('`hostId` proves nothing: sent as a token it helps nobody', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  const host = { from: ELSEWHERE, token: room.hostId }
  t.equal((await room.leave(host)).status, 401)
  t.equal((await room.beat(host)).status, 401)
  t.equal((await room.join(host)).status, 409)
  t.equal((await room.participants()).length, 1)
})

t.test("another participant's token does not open this one: refused", async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  const { token } = (await room.join({ from: ELSEWHERE }, { id: 'bob' })).body
  for (const { status } of [
    await room.leave({ from: ELSEWHERE, token }),
    await room.beat({ from: ELSEWHERE, token }),
  ]) {
    t.ok(status === 401 || status === 403, `${status}`)
  }
  t.equal((await room.participants()).length, 2)
})

t.test('a token of the same id in another room does not open this one', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  const other = (await openRoom(room.url)).room.code
  const { body } = await call<Joined>('POST', `${room.url}/rooms/${other}/join`, ALICE)
  t.equal((await room.leave({ from: ELSEWHERE, token: body.token })).status, 401)
})

t.test('an unknown token is ignored where no role is needed', async (t) => {
  const room = await startRoom(t)
  const token = { from: HOME, token: 'unknown' }
  t.equal((await room.join(token)).status, 201)
  const headers = { authorization: 'Bearer unknown' }
  for (const path of ['/participants', '/v1/models']) {
    t.equal((await call('GET', `${room.base}${path}`, undefined, headers)).status, 200, path)
  }
  t.equal((await readEvents(t, `${room.base}/events`, headers)).response.statusCode, 200)
  t.equal((await call('POST', `${room.url}/rooms`, { name: 'Attic' }, headers)).status, 201)
})

t.test('a header that is no bearer token never becomes a 500', async (t) => {
  const room = await startRoom(t)
  await room.join({ from: HOME })
  for (const authorization of ['Bearer', 'Bearer ', 'Basic YTpi', 'Bearer a b', 'x'.repeat(5000), 'Bearer \u00e9']) {
    const headers = { authorization, 'x-forwarded-for': ELSEWHERE }
    t.equal(
      (await call('DELETE', `${room.base}/leave/alice`, undefined, headers)).status,
      401,
      authorization.slice(0, 20),
    )
  }
})
