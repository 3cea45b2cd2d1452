import t, { type Test } from 'tap'
import { chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom, startRequest } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'

async function startRoom(t: Test, endpoint = 'http://127.0.0.1:1') {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  const { token } = await join(url, managed.room.code, { endpoint })
  const remove = (headers: Record<string, string> = managed.asHost, id = 'alice') =>
    call('DELETE', `${managed.base}/participants/${id}`, undefined, headers)
  return { ...managed, url, token, remove }
}

t.test('DELETE …/participants/:id by the host: 200 {success:true}, and it is gone', async (t) => {
  const { base, look, remove } = await startRoom(t)
  const { status, body } = await remove()
  t.equal(status, 200)
  t.strictSame(body, { success: true })
  t.equal((await look('alice')).status, 404)
  t.strictSame((await call('GET', `${base}/participants`)).body, { participants: [] })
  t.strictSame((await call('GET', `${base}/v1/models`)).body, { object: 'list', data: [] })
})

t.test('`participant:left` says why: removed; once', async (t) => {
  const { base, remove } = await startRoom(t)
  const reader = await readEvents(t, `${base}/events`)
  await remove()
  t.strictSame((await reader.next('participant:left')).data, { participantId: 'alice', reason: 'removed' })
  await remove()
  await reader.next('room:updated')
  t.equal(reader.frames.filter(({ event }) => event === 'participant:left').length, 1)
})

t.test('who leaves by itself leaves without a reason', async (t) => {
  const { base, token } = await startRoom(t)
  const reader = await readEvents(t, `${base}/events`)
  await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))
  t.strictSame((await reader.next('participant:left')).data, { participantId: 'alice' })
})

t.test('who is not there can’t be removed: 404', async (t) => {
  const { asHost, remove } = await startRoom(t)
  t.equal((await remove(asHost, 'bob')).status, 404)
  await remove()
  t.strictSame((await remove()).body, { error: 'Participant not found' })
})

t.test('the participant itself leaves, it does not remove: 403; nobody: 401', async (t) => {
  const { token, look, remove } = await startRoom(t)
  t.equal((await remove(bearer(token))).status, 403)
  t.equal((await remove({})).status, 401)
  t.equal((await remove(bearer('guessed'))).status, 401)
  t.equal((await look('alice')).status, 200)
})

t.test('its token is worth nothing any more', async (t) => {
  const { base, token, remove } = await startRoom(t)
  await remove()
  const beat = await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  t.strictSame([beat.status, beat.body], [404, { error: 'Participant not found' }])
  t.equal((await call('PATCH', base, { name: 'Mine' }, bearer(token))).status, 401)
})

t.test('it may join again, as somebody new', async (t) => {
  const { url, room, token, remove, changeParticipant } = await startRoom(t)
  await changeParticipant('alice', { paused: true, slots: 2 }, token)
  await remove()
  const { participant, token: another } = await join(url, room.code)
  t.not(another, token)
  t.equal(participant.status, 'online')
  t.notOk('paused' in participant || 'slots' in participant)
})

t.test('its id is free for somebody else', async (t) => {
  const { url, room, token, remove } = await startRoom(t)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' }, bearer(token))
  const entry = { id: 'alice', nickname: 'Another', model: 'm', endpoint: 'http://127.0.0.1:1' }
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, entry)).status, 409)
  await remove()
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, entry)).status, 201)
})

t.test('what runs there is finished, nothing new goes there', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const llm = await startFakeLlm(t, async (_request, response) => {
    startStream(response)
    response.write(chunkOf('before'))
    await promise
    response.end(`${chunkOf('after')}data: [DONE]\n\n`)
  })
  const { base, remove, chat } = await startRoom(t, llm.url)
  const stream = await startRequest(t, `${base}/v1/chat/completions`, { model: '*', messages: [], stream: true })
  await stream.until('before')
  await remove()
  t.equal((await chat()).status, 404)
  resolve()
  const { complete, text } = await stream.ended
  t.equal(complete, true)
  t.match(text, /after[\s\S]*\[DONE\]/)
})
