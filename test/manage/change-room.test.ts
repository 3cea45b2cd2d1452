import t from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'

t.test('PATCH {name}: the room has the new name, everywhere', async (t) => {
  const { url } = await startHub(t)
  const { room, change, view } = await manageRoom(url)
  const { status, body } = await change({ name: 'Saturday hackathon' })
  t.equal(status, 200)
  t.strictSame(body, { room: { ...body.room, ...room, name: 'Saturday hackathon' } })
  t.strictSame((await view()).body, body)
  t.hasStrict((await call('GET', `${url}/rooms`)).body, { rooms: [{ id: room.id, name: 'Saturday hackathon' }] })
})

t.test('a change answers with the whole view, participants counted', async (t) => {
  const { url } = await startHub(t)
  const { room, change } = await manageRoom(url, { name: 'Vault', password: 'open sesame' })
  await join(url, room.code, { password: 'open sesame' })
  const { body } = await change({ listed: false })
  t.strictSame(body, { room: { ...room, participantCount: 1, protected: true, listed: false, aliases: {} } })
})

t.test('a change of nothing changes nothing', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url, { name: 'Vault', password: 'x', listed: false })
  const before = (await view()).body
  for (const nothing of [{}, undefined]) {
    const { status, body } = await change(nothing)
    t.equal(status, 200)
    t.strictSame(body, before)
  }
})

t.test('defaults are replaced as a whole, and hold from the next request on', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room, change, chat } = await manageRoom(url, { name: 'Lab', defaults: { temperature: 1, seed: 7 } })
  await join(url, room.code, { endpoint: llm.url })
  const sent = async () => {
    await chat()
    const { model: _, messages: __, ...rest } = JSON.parse(String(llm.requests.at(-1)?.body)) as Record<string, unknown>
    return rest
  }
  t.strictSame(await sent(), { temperature: 1, seed: 7 })
  await change({ defaults: { top_p: 0.5, stop: '\n', max_tokens: null, colour: 'blue' } })
  t.strictSame(await sent(), { top_p: 0.5, stop: ['\n'] })
  await change({ name: 'Lab 2' })
  t.strictSame(await sent(), { top_p: 0.5, stop: ['\n'] }, 'a change of something else leaves them')
  await change({ defaults: null })
  t.strictSame(await sent(), {})
})

t.test('an unknown field is refused by its name: it would silently do nothing', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  for (const field of ['colour', 'code', 'hostId', 'id', 'Name']) {
    const { status, body } = await change({ [field]: 'x', name: 'Changed' })
    t.equal(status, 400, field)
    t.match(body.error, new RegExp(`^${field} `))
  }
  t.equal((await view()).body.room.name, 'Test kitchen', 'and nothing of it is done')
})

t.test('a field of the wrong kind is refused by its name', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  const before = (await view()).body
  const wrong = [
    { name: '' },
    { name: 12 },
    { name: null },
    { name: 'x'.repeat(81) },
    { name: 'a\nb' },
    { password: 12 },
    { password: 'x'.repeat(257) },
    { listed: 'no' },
    { listed: null },
    { defaults: 'hot' },
    { defaults: { temperature: 'hot' } },
  ]
  for (const change_ of wrong) {
    const { status, body } = await change(change_)
    t.equal(status, 400, JSON.stringify(change_))
    t.match(body.error, new RegExp(`^${Object.keys(change_)[0]}[. ].*must be `))
  }
  t.strictSame((await view()).body, before)
})

t.test('a blank name is no more taken than at the opening', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  t.equal((await change({ name: '   ' })).status, 400)
  t.equal((await view()).body.room.name, 'Test kitchen')
})

t.test('a body that is no object is refused', async (t) => {
  const { url } = await startHub(t)
  const { change } = await manageRoom(url)
  for (const body of ['[]', '"name"', '12', '{', 'true']) t.equal((await change(body)).status, 400, body)
})

t.test('two changes at once: both are done', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  await Promise.all([change({ password: 'open sesame' }), change({ name: 'Vault' }), change({ listed: false })])
  t.hasStrict((await view()).body.room, { name: 'Vault', protected: true, listed: false })
})

t.test('a change that was under way when the room closed finds no room', async (t) => {
  const { url } = await startHub(t)
  const { change, close } = await manageRoom(url)
  // A hash takes some 30 ms off the event loop; the room is closed meanwhile.
  const [changed, closed] = await Promise.all([change({ password: 'open sesame' }), close()])
  t.equal(closed.status, 200)
  t.strictSame([changed.status, changed.body], [404, { error: 'Room not found' }])
})
