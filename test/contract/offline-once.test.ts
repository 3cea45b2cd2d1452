import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

t.test('offline is announced once per change, not once per tick', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  for (let tick = 0; tick < 10; tick++) await pass(31_000)
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:offline'])
})

t.test('who came back and fell silent again is announced again', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await pass(31_000)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  await pass(31_000)
  const change = ['participant:offline', 'participant:online', 'participant:offline']
  t.strictSame(await eventsSoFar(url, reader), ['connected', ...change])
})

t.test('each silent participant is announced, and only those', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  for (const id of ['alice', 'bob', 'carol']) await join(url, room.code, { id })
  await pass(20_000)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'bob' })
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await pass(15_000)
  const gone = [await reader.next('participant:offline'), await reader.next('participant:offline')]
  t.strictSame(gone.map(({ data }) => data?.participantId).sort(), ['alice', 'carol'])
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:offline', 'participant:offline'])
})

t.test('the hub looks by itself, on its own timer', async (t) => {
  const { url } = await startHub(t, { offlineAfterMs: 100, healthTickMs: 10 })
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await join(url, room.code)
  t.equal((await reader.next('participant:offline')).data?.participantId, 'alice')
})
