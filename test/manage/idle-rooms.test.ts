import t, { type Test } from 'tap'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

const HOUR_MS = 3_600_000
const TTL_MS = 2 * HOUR_MS

async function startRoom(t: Test, body?: Record<string, unknown>) {
  const timed = await startTimedHub(t, { roomTtlMs: TTL_MS, participantTtlMs: HOUR_MS })
  const managed = await manageRoom(timed.url, body)
  // Asked without a visit: the question itself would put the end off.
  const isOpen = async () => (await (await timed.hub.app).roomStore.findRoom(managed.room.code)) !== undefined
  return { ...timed, ...managed, isOpen }
}

t.test('a room is closed when nobody has used it for so long as `roomTtlMs` says, not before', async (t) => {
  const { pass, isOpen } = await startRoom(t)
  await pass(TTL_MS)
  t.equal(await isOpen(), true)
  await pass(1000)
  t.equal(await isOpen(), false)
})

t.test('every request to the room starts the time anew, whatever its answer', async (t) => {
  const { base, pass, isOpen } = await startRoom(t)
  const asked = [
    ['GET', ''],
    ['GET', '/participants'],
    ['GET', '/v1/models'],
    ['GET', '/participants/nobody'],
    ['PATCH', ''],
    ['POST', '/health'],
    ['POST', '/v1/chat/completions'],
  ] as const
  for (const [method, path] of asked) {
    await pass(TTL_MS - HOUR_MS / 2)
    await call(method, `${base}${path}`)
    t.equal(await isOpen(), true, `${method} ${path}`)
  }
  await pass(TTL_MS)
  t.equal(await isOpen(), true)
  await pass(1000)
  t.equal(await isOpen(), false)
})

t.test('the list of rooms is no request to any of them', async (t) => {
  const { url, pass, isOpen } = await startRoom(t)
  await pass(TTL_MS - 1000)
  await call('GET', `${url}/rooms`)
  await pass(2000)
  t.equal(await isOpen(), false)
})

t.test('who watches and who lists hear of the end as when the host closes it', async (t) => {
  const { url, room, base, pass } = await startRoom(t)
  const [own, feed] = [await readEvents(t, `${base}/events`), await readEvents(t, `${url}/events`)]
  await pass(TTL_MS + 1000)
  await own.ended
  for (const reader of [own, feed]) {
    t.strictSame((await reader.next('room:closed')).data, { roomId: room.id, code: room.code })
  }
  t.match(own.frames.at(-1)?.text, /^: .*closed/)
})

t.test('an unlisted room ends unheard', async (t) => {
  const { url, room, pass, isOpen } = await startRoom(t, { name: 'Hideout', listed: false })
  const feed = await readEvents(t, `${url}/events`)
  await pass(TTL_MS + 1000)
  t.equal(await isOpen(), false)
  const { room: last } = await manageRoom(url)
  while ((await feed.next('room:created')).data?.id !== last.id);
  t.notOk(feed.frames.some(({ text }) => text.includes(room.id)))
})

t.test('a room with a custom code is never closed, however it was used', async (t) => {
  const { url, room, base, pass, isOpen } = await startRoom(t, { name: 'Lab', code: 'LAB2' })
  await pass(10 * TTL_MS)
  t.equal(await isOpen(), true)
  const { token } = await join(url, room.code)
  await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))
  await pass(10 * TTL_MS)
  t.equal(await isOpen(), true)
})

t.test('a room with somebody in it stays, also while all are away', async (t) => {
  const { url, room, pass, isOpen } = await startRoom(t)
  await join(url, room.code)
  await pass(HOUR_MS)
  t.equal(await isOpen(), true)
})

t.test('when the last one has expired, the time of the room begins', async (t) => {
  const { url, room, pass, isOpen } = await startRoom(t)
  await join(url, room.code)
  await pass(31_000)
  await pass(HOUR_MS + 300_000)
  await pass(TTL_MS - 300_000)
  t.equal(await isOpen(), true)
  await pass(600_000)
  t.equal(await isOpen(), false)
})

t.test('the code of a room that was closed for idleness is free', async (t) => {
  const { url, room, pass } = await startRoom(t)
  await pass(TTL_MS + 1000)
  t.equal((await call('GET', `${url}/rooms/${room.code}`)).status, 404)
  t.equal((await call('POST', `${url}/rooms`, { name: 'New', code: room.code })).status, 201)
})

t.test('the host of a room that was closed for idleness has lost nothing but the room', async (t) => {
  const { url, close, pass } = await startRoom(t)
  await pass(TTL_MS + 1000)
  t.equal((await close()).status, 404)
  t.equal((await call('GET', `${url}/health`)).status, 200)
})

t.test('a hub that is told of no time to live keeps rooms for a week', async (t) => {
  const { hub } = await startHub(t)
  t.equal(hub.config.roomTtlMs, 7 * 24 * HOUR_MS)
  t.equal(hub.config.participantTtlMs, 24 * HOUR_MS)
})
