import t from 'tap'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

t.test('DELETE /rooms/:code by the host: 200 {success:true}, and the room is gone', async (t) => {
  const { url } = await startHub(t)
  const { base, close, view } = await manageRoom(url)
  const { status, body } = await close()
  t.equal(status, 200)
  t.strictSame(body, { success: true })
  t.equal((await view()).status, 404)
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [] })
  t.equal((await call('GET', `${base}/participants`)).status, 404)
})

t.test('closing it again: 404', async (t) => {
  const { url } = await startHub(t)
  const { close } = await manageRoom(url)
  const statuses = (await Promise.all([close(), close()])).map(({ status }) => status)
  t.strictSame(statuses.sort(), [200, 404])
  t.equal((await close()).status, 404)
})

t.test('in a closed room everything is 404, whatever token comes along', async (t) => {
  const { url } = await startHub(t)
  const { room, base, asHost, close } = await manageRoom(url)
  const { token } = await join(url, room.code)
  await close()
  const asked = [
    ['GET', ''],
    ['PATCH', ''],
    ['DELETE', ''],
    ['POST', '/join'],
    ['DELETE', '/leave/alice'],
    ['POST', '/health'],
    ['GET', '/participants'],
    ['GET', '/participants/alice'],
    ['PATCH', '/participants/alice'],
    ['DELETE', '/participants/alice'],
    ['GET', '/events'],
  ] as const
  for (const [method, path] of asked) {
    for (const headers of [asHost, bearer(token), {}]) {
      const { status, body } = await call(method, `${base}${path}`, undefined, headers)
      t.strictSame([status, body], [404, { error: 'Room not found' }], `${method} ${path}`)
    }
  }
})

t.test('its event streams end behind `room:closed`, with a comment that says why', async (t) => {
  const { url } = await startHub(t)
  const { room, base, close } = await manageRoom(url)
  const readers = await Promise.all([1, 2, 3].map(() => readEvents(t, `${base}/events`)))
  await close()
  for (const reader of readers) {
    await reader.ended
    t.strictSame(reader.frames.at(-2)?.data, { roomId: room.id, code: room.code })
    t.match(reader.frames.at(-1)?.text, /^: .*closed/)
    t.equal(reader.response.complete, true, 'a proper end, no break')
  }
})

t.test('other rooms and their streams go on', async (t) => {
  const { url } = await startHub(t)
  const [kitchen, garden] = [await manageRoom(url), await manageRoom(url, { name: 'Garden' })]
  const [feed, other] = [await readEvents(t, `${url}/events`), await readEvents(t, `${garden.base}/events`)]
  await kitchen.close()
  t.equal((await feed.next('room:closed')).data?.roomId, kitchen.room.id)
  await join(url, garden.room.code)
  await other.next('participant:joined')
  t.notOk((await eventsSoFar(url, other)).includes('room:closed'))
})

t.test('nobody is said to have left: the room closes with them in it', async (t) => {
  const { url } = await startHub(t)
  const { room, base, close } = await manageRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${base}/events`)
  await close()
  await reader.ended
  t.notOk(reader.frames.some(({ event }) => event === 'participant:left'))
})

t.test('a join that was under way when the room closed finds no room', async (t) => {
  const { url } = await startHub(t)
  const { base, close } = await manageRoom(url, { name: 'Vault', password: 'open sesame' })
  const entry = { id: 'alice', nickname: 'A', model: 'm', endpoint: 'http://127.0.0.1:1', password: 'open sesame' }
  const [joined, closed] = await Promise.all([call('POST', `${base}/join`, entry), close()])
  t.equal(closed.status, 200)
  t.strictSame([joined.status, joined.body], [404, { error: 'Room not found' }])
})
