import t from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

async function participantOf(url: string, code: string): Promise<Participant | undefined> {
  const { body } = await call<{ participants: Participant[] }>('GET', `${url}/rooms/${code}/participants`)
  return body.participants[0]
}

t.test('POST /rooms/:code/health {id}: 200 {success:true}', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const { status, body } = await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  t.equal(status, 200)
  t.strictSame(body, { success: true })
})

t.test('a heartbeat refreshes `lastSeen`, and `joinedAt` stays', async (t) => {
  const { url, now, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  const { participant } = await join(url, room.code)
  await pass(10_000)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  t.hasStrict(await participantOf(url, room.code), { joinedAt: participant.joinedAt, lastSeen: now() })
})

t.test('heartbeat: 400 `Participant ID is required`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const body of [undefined, {}, { id: null }, { id: '' }, { participantId: 'alice' }]) {
    const answer = await call('POST', `${url}/rooms/${room.code}/health`, body)
    t.equal(answer.status, 400, JSON.stringify(body))
    t.strictSame(answer.body, { error: 'Participant ID is required' })
  }
})

t.test('heartbeat: 404 `Room not found` / `Participant not found`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const noRoom = await call('POST', `${url}/rooms/ABC234/health`, { id: 'alice' })
  const nobody = await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  t.strictSame([noRoom.status, noRoom.body], [404, { error: 'Room not found' }])
  t.strictSame([nobody.status, nobody.body], [404, { error: 'Participant not found' }])
})

t.test('heartbeat every 10 s: who sends it stays online', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  for (let beat = 0; beat < 6; beat++) {
    await pass(10_000)
    await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  }
  t.equal((await participantOf(url, room.code))?.status, 'online')
})

t.test('offline after 30 s without a heartbeat, and not before', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  await pass(30_000)
  t.equal((await participantOf(url, room.code))?.status, 'online')
  await pass(1)
  t.equal((await participantOf(url, room.code))?.status, 'offline')
})

t.test(
  'a heartbeat brings an offline participant back: `participant:online` with the public participant',
  async (t) => {
    const { url, pass, now } = await startTimedHub(t)
    const { room } = await openRoom(url)
    const { participant } = await join(url, room.code)
    await pass(31_000)
    const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
    await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
    const { data } = await reader.next('participant:online')
    t.hasStrict(data, { ...participant, status: 'online', lastSeen: now() })
    t.strictSame(await participantOf(url, room.code), data)
  },
)

t.test('a heartbeat of somebody who was online says nothing to the room', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  t.strictSame(await eventsSoFar(url, reader), ['connected'])
})

t.test('heartbeats are never answered 429 or 503, however many there are', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const beats = Array.from({ length: 300 }, () => call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' }))
  const statuses = new Set((await Promise.all(beats)).map(({ status }) => status))
  t.strictSame([...statuses], [200])
})
