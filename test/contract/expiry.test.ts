import t from 'tap'
import type { ListedRoom } from '../../schemas/room.ts'
import { call, join, openRoom } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

async function listed(url: string): Promise<ListedRoom[]> {
  return (await call<{ rooms: ListedRoom[] }>('GET', `${url}/rooms`)).body.rooms
}

t.test('a participant offline for 24 h is removed, and not before', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  await pass(31_000)
  await pass(DAY_MS - MINUTE_MS)
  t.equal((await listed(url))[0]?.participantCount, 1)
  await pass(2 * MINUTE_MS)
  t.equal((await listed(url))[0]?.participantCount, 0)
})

t.test('a participant offline for 24 h: `participant:left`, reason `expired`', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await pass(31_000)
  await pass(DAY_MS + MINUTE_MS)
  t.strictSame((await reader.next('participant:left')).data, { participantId: 'alice', reason: 'expired' })
})

t.test('who comes back within the day stays, and the day begins anew', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  for (let day = 0; day < 3; day++) {
    await pass(DAY_MS - MINUTE_MS)
    t.equal((await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })).status, 200)
  }
})

t.test('a room without participants and requests closes after 7 days, and not before', async (t) => {
  const { url, pass } = await startTimedHub(t)
  await openRoom(url)
  await pass(7 * DAY_MS)
  t.equal((await listed(url)).length, 1)
  await pass(MINUTE_MS)
  t.equal((await listed(url)).length, 0)
})

t.test('a request puts the end of its room off', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await pass(6 * DAY_MS)
  await call('GET', `${url}/rooms/${room.code}/participants`)
  await pass(6 * DAY_MS)
  t.equal((await listed(url)).length, 1)
})

t.test('a room with a participant does not close', async (t) => {
  const { url, pass } = await startTimedHub(t, { participantTtlMs: 30 * DAY_MS })
  const { room } = await openRoom(url)
  await join(url, room.code)
  await pass(8 * DAY_MS)
  t.equal((await listed(url)).length, 1)
})

t.test('a room never closes if it has a custom code', async (t) => {
  const { url, pass } = await startTimedHub(t)
  await openRoom(url, { name: 'Lab', code: 'LAB2' })
  await pass(30 * DAY_MS)
  t.equal((await listed(url))[0]?.code, 'LAB2')
})
