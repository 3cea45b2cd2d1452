import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, type Joined, join, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://localhost:11434' }

t.test('POST /rooms/:code/join {id,nickname,model,endpoint}: 201 {participant, roomId}', async (t) => {
  const { url, now } = await startTimedHub(t)
  const { room } = await openRoom(url)
  const { status, body } = await call<Joined>('POST', `${url}/rooms/${room.code}/join`, ALICE)
  t.equal(status, 201)
  t.equal(body.roomId, room.id)
  const seen = { specs: {}, config: {}, status: 'online' as const, joinedAt: now(), lastSeen: now() }
  t.hasStrict(body.participant, { ...ALICE, ...seen })
})

t.test('POST …/join answers besides: `token`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const [alice, bob] = [await join(url, room.code), await join(url, room.code, { id: 'bob' })]
  t.match(alice.token, /^[\w-]{32,}$/)
  t.not(alice.token, bob.token)
})

t.test('join: broadcast `participant:joined`, with the participant as it was answered', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  const { participant } = await join(url, room.code)
  t.strictSame((await reader.next('participant:joined')).data, participant)
})

t.test('join: 404 `Room not found`', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call('POST', `${url}/rooms/ABC234/join`, ALICE)
  t.equal(status, 404)
  t.strictSame(body, { error: 'Room not found' })
})

t.test('join: 400 `Missing required fields: id, nickname, model, endpoint`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const without = Object.keys(ALICE).flatMap((key) =>
    [undefined, null, ''].map((value) => ({ ...ALICE, [key]: value })),
  )
  for (const body of [undefined, {}, ...without]) {
    const answer = await call('POST', `${url}/rooms/${room.code}/join`, body)
    t.equal(answer.status, 400, JSON.stringify(body))
    t.strictSame(answer.body, { error: 'Missing required fields: id, nickname, model, endpoint' })
  }
})

/** A server that only counts who connects. */
async function startDoorbell(t: Test): Promise<{ endpoint: string; rings(): number }> {
  let rings = 0
  const server = createServer((socket) => {
    rings += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, rings: () => rings }
}

t.test('join probes nothing: 201 and `online` at once', async (t) => {
  const [{ url }, { endpoint, rings }] = [await startHub(t), await startDoorbell(t)]
  const { room } = await openRoom(url)
  const { participant } = await join(url, room.code, { endpoint })
  t.equal(participant.status, 'online')
  await call('GET', `${url}/rooms/${room.code}/v1/models`)
  t.equal(rings(), 0)
  // That the bell works: a request does ring it.
  await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [] })
  t.equal(rings(), 1)
})

t.test('join: 201 and `online` at once, also where nothing listens', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.equal((await join(url, room.code, { endpoint: 'http://127.0.0.1:1' })).participant.status, 'online')
})

t.test('nicknames, models and endpoints may repeat', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const first = await join(url, room.code, { ...ALICE, id: 'one' })
  const second = await join(url, room.code, { ...ALICE, id: 'two' })
  t.equal(first.participant.endpoint, second.participant.endpoint)
  t.equal(first.participant.nickname, second.participant.nickname)
})

t.test('ids may repeat across rooms', async (t) => {
  const { url } = await startHub(t)
  const [kitchen, garden] = [(await openRoom(url)).room, (await openRoom(url)).room]
  await join(url, kitchen.code, { id: 'alice', nickname: 'In the kitchen' })
  await join(url, garden.code, { id: 'alice', nickname: 'In the garden' })
  await call('DELETE', `${url}/rooms/${garden.code}/leave/alice`)
  const { body } = await call<{ participants: Participant[] }>('GET', `${url}/rooms/${kitchen.code}/participants`)
  t.strictSame(
    body.participants.map(({ nickname }) => nickname),
    ['In the kitchen'],
  )
})

t.test('`authHeaders` on join is refused with a pointer to `potluck join --header`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const authHeaders = { Authorization: 'Bearer sk-provider' }
  const { status, body } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, authHeaders })
  t.equal(status, 400)
  t.match(body.error, 'potluck join --header')
  t.notMatch(body.error, 'sk-provider')
  t.equal(
    (await call<{ rooms: { participantCount: number }[] }>('GET', `${url}/rooms`)).body.rooms[0]?.participantCount,
    0,
  )
})

t.test('`authHeaders: null` is none', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, authHeaders: null })).status, 201)
})

t.test('unknown keys of the body are ignored and shown nowhere', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const odd = { ...ALICE, colour: 'blue', status: 'busy', joinedAt: 1, lastSeen: 1 }
  const { status, body } = await call<Joined>('POST', `${url}/rooms/${room.code}/join`, odd)
  t.equal(status, 201)
  t.equal(body.participant.status, 'online')
  t.notOk('colour' in body.participant)
  t.not(body.participant.joinedAt, 1)
  t.not(body.participant.lastSeen, 1)
})
