import t from 'tap'
import { call, type OpenRoom, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

t.test('POST /rooms {name}: 201 {room:{id,code,name,hostId,createdAt}, hostId}', async (t) => {
  const { url, now } = await startTimedHub(t)
  const { status, body } = await call<OpenRoom>('POST', `${url}/rooms`, { name: 'Friday hackathon' })
  t.equal(status, 201)
  t.hasStrict(body.room, { name: 'Friday hackathon', hostId: body.hostId, createdAt: now() })
})

t.test('room `id` is a nanoid (21)', async (t) => {
  const { url } = await startHub(t)
  t.match((await openRoom(url)).room.id, /^[\w-]{21}$/)
})

t.test('`hostId` is a UUID, a new one for each room', async (t) => {
  const { url } = await startHub(t)
  const [first, second] = [await openRoom(url), await openRoom(url)]
  t.match(first.hostId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.not(first.hostId, second.hostId)
})

t.test('`code` is 6 characters of A–Z and 0–9 without look-alikes (0 O 1 I L)', async (t) => {
  const { url } = await startHub(t)
  const opened = await Promise.all(Array.from({ length: 50 }, () => openRoom(url)))
  for (const { room } of opened) t.match(room.code, /^[A-HJ-KM-NP-Z2-9]{6}$/)
  t.equal(new Set(opened.map(({ room }) => room.code)).size, 50)
})

t.test('POST /rooms answers besides: `hostToken`, the secret that `hostId` is not', async (t) => {
  const { url } = await startHub(t)
  const { hostToken, ...rest } = await openRoom(url)
  t.match(hostToken, /^[\w-]{32,}$/)
  t.notMatch(JSON.stringify(rest), hostToken)
})

t.test('POST /rooms: 400 `Name is required`', async (t) => {
  const { url } = await startHub(t)
  for (const body of [undefined, {}, { name: null }, { name: '' }, { name: '   ' }, { password: 'x' }, null]) {
    const answer = await call('POST', `${url}/rooms`, body)
    t.equal(answer.status, 400, JSON.stringify(body))
    t.strictSame(answer.body, { error: 'Name is required' })
  }
})

t.test('a room that was refused does not exist', async (t) => {
  const { url } = await startHub(t)
  await call('POST', `${url}/rooms`, { name: '' })
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [] })
})

t.test('broadcast `room:created` to every subscriber of the hub', async (t) => {
  const { url } = await startHub(t)
  const [kitchen, garden] = [await openRoom(url), await openRoom(url)]
  const paths = [`/rooms/${kitchen.room.code}/events`, `/rooms/${garden.room.code}/events`, '/events']
  const readers = await Promise.all(paths.map((path) => readEvents(t, `${url}${path}`)))
  const { room } = await openRoom(url, { name: 'Attic' })
  for (const reader of readers) t.hasStrict((await reader.next('room:created')).data, { ...room })
})

t.test('unknown keys of the body are ignored', async (t) => {
  const { url } = await startHub(t)
  const { status } = await call('POST', `${url}/rooms`, { name: 'Attic', colour: 'blue', hostId: 'me' })
  t.equal(status, 201)
})

t.test('who creates a room cannot choose its `hostId`', async (t) => {
  const { url } = await startHub(t)
  const { hostId } = await openRoom(url, { name: 'Attic', hostId: 'me' })
  t.not(hostId, 'me')
})
