import t from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

t.test('DELETE /rooms/:code/leave/:id: 200 {success:true}, and the participant is gone', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const { status, body } = await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)
  t.equal(status, 200)
  t.strictSame(body, { success: true })
  const list = await call<{ participants: Participant[] }>('GET', `${url}/rooms/${room.code}/participants`)
  t.strictSame(list.body.participants, [])
})

t.test('leave: broadcast `participant:left`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)
  t.equal((await reader.next('participant:left')).data?.participantId, 'alice')
})

t.test('leave: 404 `Room not found`', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call('DELETE', `${url}/rooms/ABC234/leave/alice`)
  t.equal(status, 404)
  t.strictSame(body, { error: 'Room not found' })
})

t.test('leave: 404 `Participant not found`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const id of ['alice', '%20', 'a%2Fb', '%0d%0aevent:%20x', '__proto__', 'x'.repeat(500)]) {
    const { status, body } = await call('DELETE', `${url}/rooms/${room.code}/leave/${id}`)
    t.equal(status, 404, id)
    t.strictSame(body, { error: 'Participant not found' })
  }
})

t.test('who left twice is told so, and nobody else hears of the second time', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)
  t.equal((await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)).status, 404)
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:left'])
})

t.test('who left may join again, under the same id', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { token } = await join(url, room.code)
  const authorization = `Bearer ${token}`
  await call('DELETE', `${url}/rooms/${room.code}/leave/alice`, undefined, { authorization })
  t.equal((await join(url, room.code)).participant.status, 'online')
})
