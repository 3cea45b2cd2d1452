import t from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

t.test('GET /events carries the room events, from all rooms', async (t) => {
  const { url } = await startHub(t)
  const reader = await readEvents(t, `${url}/events`)
  t.equal((await reader.next()).event, 'connected')
  for (const name of ['Attic', 'Garden']) {
    const { room } = await openRoom(url, { name })
    t.hasStrict((await reader.next('room:created')).data, { ...room })
  }
})

t.test('GET /events carries the room events alone: none of participants, none of requests', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/events`)
  await join(url, room.code, { endpoint: llm.url })
  await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [] })
  await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)
  const others = (await eventsSoFar(url, reader)).filter((event) => !event.startsWith('room:'))
  t.strictSame(others, ['connected'])
})

t.test('GET /events tells of a locked room no more than of any other', async (t) => {
  const { url } = await startHub(t)
  const reader = await readEvents(t, `${url}/events`)
  await openRoom(url, { name: 'Vault', password: 'open sesame' })
  const { text } = await reader.next('room:created')
  t.notMatch(text, /sesame/)
  t.notMatch(text, NAMES_A_SECRET)
})

t.test('GET /events replays by `Last-Event-ID` as a room does', async (t) => {
  const { url } = await startHub(t)
  const first = await readEvents(t, `${url}/events`)
  const { id } = await first.next('connected')
  first.close()
  const { room } = await openRoom(url, { name: 'Attic' })
  for (const [path, headers] of [
    ['/events', { 'last-event-id': id ?? '' }],
    [`/events?lastEventId=${id}`, {}],
  ] as [string, Record<string, string>][]) {
    const reader = await readEvents(t, `${url}${path}`, headers)
    t.equal((await reader.next('room:created')).data?.id, room.id)
  }
})

t.test('an id of a room is none of GET /events: `gap`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { id } = await (await readEvents(t, `${url}/rooms/${room.code}/events`)).next('connected')
  t.ok(await (await readEvents(t, `${url}/events`, { 'last-event-id': id ?? '' })).next('gap'))
})

t.test('none of them for an unlisted room', async (t) => {
  const { url } = await startHub(t)
  const reader = await readEvents(t, `${url}/events`)
  const { room, hostToken } = await openRoom(url, { name: 'Hideout', listed: false })
  await join(url, room.code)
  await call('DELETE', `${url}/rooms/${room.code}`, undefined, { authorization: `Bearer ${hostToken}` })
  await eventsSoFar(url, reader)
  t.notMatch(reader.frames.map(({ text }) => text).join('\n'), room.code)
})

t.test('room:updated and room:closed: the room itself and `GET /events`, never another room', async (t) => {
  const { url } = await startHub(t)
  const [kitchen, garden] = [await openRoom(url), await openRoom(url)]
  const paths = ['/events', `/rooms/${kitchen.room.code}/events`, `/rooms/${garden.room.code}/events`]
  const [feed, own, other] = await Promise.all(paths.map((path) => readEvents(t, `${url}${path}`)))
  const headers = { authorization: `Bearer ${kitchen.hostToken}` }
  await call('PATCH', `${url}/rooms/${kitchen.room.code}`, { name: 'Larder' }, headers)
  await call('DELETE', `${url}/rooms/${kitchen.room.code}`, undefined, headers)
  for (const reader of [feed!, own!]) {
    t.hasStrict((await reader.next('room:updated')).data, { id: kitchen.room.id, name: 'Larder' })
    t.strictSame((await reader.next('room:closed')).data, { roomId: kitchen.room.id, code: kitchen.room.code })
  }
  await eventsSoFar(url, other!)
  t.strictSame(
    other!.frames.map(({ event }) => event),
    ['connected', 'room:created'],
  )
})
