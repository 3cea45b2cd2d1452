// Statements in quotes are those of the reference document of the event stream, "Connect to Events".
import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { send } from '../support/wire.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

t.test('"Status: 200 OK Content-Type: text/event-stream"', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { response } = await readEvents(t, `${url}/rooms/${room.code}/events`)
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/event-stream')
})

t.test('"Cache-Control: no-cache", "Connection: keep-alive", "Access-Control-Allow-Origin: *"', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const headers of [{}, { origin: 'http://dashboard.test' }]) {
    const { response } = await readEvents(t, `${url}/rooms/${room.code}/events`, headers as Record<string, string>)
    t.equal(response.headers['cache-control'], 'no-cache')
    t.equal(response.headers.connection, 'keep-alive')
    t.equal(response.headers['access-control-allow-origin'], '*')
  }
})

t.test('the connection headers are the same on the hub-wide stream', async (t) => {
  const { url } = await startHub(t)
  const { response } = await readEvents(t, `${url}/events`)
  t.equal(response.headers['content-type'], 'text/event-stream')
  t.equal(response.headers['cache-control'], 'no-cache')
  t.equal(response.headers['access-control-allow-origin'], '*')
})

t.test('event streams are never compressed, whatever the client takes', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`, { 'accept-encoding': 'gzip, br, deflate' })
  t.equal(reader.response.headers['content-encoding'], undefined)
  t.ok(await reader.next('connected'))
})

t.test('"On connection, the hub sends a connected event": the first frame, with nothing before it', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await reader.next('connected')
  t.equal(reader.frames[0]?.event, 'connected')
})

t.test('"clientId string Unique client connection ID (UUID)"', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const path = `${url}/rooms/${room.code}/events`
  const [first, second] = [await readEvents(t, path), await readEvents(t, path)]
  const ids = [await first.next('connected'), await second.next('connected')].map(({ data }) => data?.clientId)
  for (const id of ids) t.match(id, UUID)
  t.equal(new Set(ids).size, 2)
})

t.test(
  '"SSE connection is rejected if the room doesn\'t exist": "Status: 404 {"error": "Room not found"}"',
  async (t) => {
    const { url } = await startHub(t)
    const { status, headers, body } = await call('GET', `${url}/rooms/ABC123/events`)
    t.equal(status, 404)
    t.match(headers.get('content-type'), /^application\/json/)
    t.strictSame(body, { error: 'Room not found' })
  },
)

t.test('a code in another case opens the same stream, and its events arrive', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code.toLowerCase()}/events`)
  await join(url, room.code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})

t.test('who acts on the room by a code in another case is seen by who watches it by the proper one', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await join(url, room.code.toLowerCase())
  await call('DELETE', `${url}/rooms/${room.code.toLowerCase()}/leave/alice`)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
  t.equal((await reader.next('participant:left')).data?.participantId, 'alice')
})

t.test('HEAD on an event stream ends at once, without a body', async (t) => {
  const { url, hub } = await startHub(t)
  const { room } = await openRoom(url)
  for (const path of [`/rooms/${room.code}/events`, '/events']) {
    const { status, text } = await send('HEAD', `${url}${path}`)
    t.ok(status < 500, `${path} ${status}`)
    t.equal(text, '')
  }
  t.equal((await hub.app).eventBus.size, 0)
})

t.test('other methods than GET open no stream', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const method of ['POST', 'DELETE', 'PATCH']) {
    const { status } = await send(method, `${url}/rooms/${room.code}/events`)
    t.ok(status === 404 || status === 405, `${method} ${status}`)
  }
})
