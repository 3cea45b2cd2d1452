import t, { type Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import { answerPlain, chunkOf, type FakeLlm, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, type Joined, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom, startRequest } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

const PAUSED_SENTENCE = 'Everybody who offers the requested model has paused: try again later, or name another model'

async function startRoom(t: Test, body: Partial<JoinBody> = {}) {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  const { token } = await join(url, managed.room.code, body)
  const pause = (paused = true) => managed.changeParticipant('alice', { paused }, token)
  return { ...managed, url, token, pause }
}

function models(llm: FakeLlm): unknown[] {
  return llm.requests.map(({ body }) => (JSON.parse(String(body)) as { model: string }).model)
}

t.test('a paused participant is `busy` with `paused: true`; unpaused it is `online`, without the field', async (t) => {
  const { pause, look } = await startRoom(t)
  t.hasStrict((await pause()).body.participant, { status: 'busy', paused: true })
  t.hasStrict((await look('alice')).body.participant, { status: 'busy', paused: true })
  const { participant } = (await pause(false)).body
  t.equal(participant.status, 'online')
  t.notOk('paused' in participant)
})

t.test('pausing twice is pausing, unpausing twice is unpausing', async (t) => {
  const { pause } = await startRoom(t)
  for (const paused of [true, true, false, false]) {
    const { status, body } = await pause(paused)
    t.equal(status, 200)
    t.equal(body.participant.status, paused ? 'busy' : 'online')
  }
})

t.test('the room hears of it', async (t) => {
  const { base, pause } = await startRoom(t)
  const reader = await readEvents(t, `${base}/events`)
  await pause()
  t.hasStrict((await reader.next('participant:updated')).data, { id: 'alice', status: 'busy', paused: true })
  await pause(false)
  const { data } = await reader.next('participant:updated')
  t.hasStrict(data, { id: 'alice', status: 'online' })
  t.notOk('paused' in (data ?? {}))
})

t.test('nothing new is routed to it: whoever else could answers', async (t) => {
  const [alice, bob] = [await startFakeLlm(t), await startFakeLlm(t)]
  const { url, room, chat, pause } = await startRoom(t, { endpoint: alice.url })
  await join(url, room.code, { id: 'bob', endpoint: bob.url })
  await pause()
  for (let count = 0; count < 4; count++) t.equal((await chat({ model: 'llama3.2:3b' })).status, 200)
  t.strictSame([alice.requests.length, bob.requests.length], [0, 4])
})

t.test('where nobody else could: 503 that says so, by any name', async (t) => {
  const llm = await startFakeLlm(t)
  const { chat, pause } = await startRoom(t, { endpoint: llm.url })
  await pause()
  for (const model of ['llama3.2:3b', 'model:llama3.2:3b', 'alice', '*', 'any', undefined]) {
    const { status, body } = await chat({ model })
    t.equal(status, 503, String(model))
    t.equal(body.error?.message, PAUSED_SENTENCE)
    t.equal(body.error?.code, 'PTL_PARTICIPANT_PAUSED')
  }
  t.equal(llm.requests.length, 0)
})

t.test('a request for it by id does not go to another', async (t) => {
  const [alice, bob] = [await startFakeLlm(t), await startFakeLlm(t)]
  const { url, room, chat, pause } = await startRoom(t, { endpoint: alice.url })
  await join(url, room.code, { id: 'bob', endpoint: bob.url })
  await pause()
  t.equal((await chat({ model: 'alice' })).status, 503)
  t.equal(bob.requests.length, 0)
})

t.test('unpaused it serves again', async (t) => {
  const llm = await startFakeLlm(t)
  const { chat, pause } = await startRoom(t, { endpoint: llm.url })
  await pause()
  t.equal((await chat()).status, 503)
  await pause(false)
  t.equal((await chat()).status, 200)
  t.strictSame(models(llm), ['llama3.2:3b'])
})

t.test('what runs is finished', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const llm = await startFakeLlm(t, async (_request, response) => {
    startStream(response)
    response.write(chunkOf('before'))
    await promise
    response.end(`${chunkOf('after')}data: [DONE]\n\n`)
  })
  const { base, chat, pause } = await startRoom(t, { endpoint: llm.url })
  const stream = await startRequest(t, `${base}/v1/chat/completions`, { model: '*', messages: [], stream: true })
  await stream.until('before')
  await pause()
  t.equal((await chat()).status, 503)
  resolve()
  const { complete, text } = await stream.ended
  t.equal(complete, true)
  t.match(text, /after[\s\S]*\[DONE\]/)
})

t.test('the models of the room still name it: it is there', async (t) => {
  const { base, pause } = await startRoom(t)
  await pause()
  const { body } = await call<{ data: { id: string }[] }>('GET', `${base}/v1/models`)
  t.strictSame(
    body.data.map(({ id }) => id),
    ['llama3.2:3b', 'alice', '*'],
  )
})

t.test('heartbeats keep it there, and paused', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room, base, look, changeParticipant } = await manageRoom(url)
  const { token } = await join(url, room.code)
  await changeParticipant('alice', { paused: true }, token)
  for (let beat = 0; beat < 6; beat++) {
    await pass(10_000)
    await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  }
  t.hasStrict((await look('alice')).body.participant, { status: 'busy', paused: true })
})

t.test('without heartbeats it goes offline like anybody else, and comes back paused', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room, base, look, chat, changeParticipant } = await manageRoom(url)
  const { token } = await join(url, room.code)
  await changeParticipant('alice', { paused: true }, token)
  const reader = await readEvents(t, `${base}/events`)
  await pass(31_000)
  t.hasStrict((await look('alice')).body.participant, { status: 'offline', paused: true })
  t.equal((await chat({ model: 'alice' })).body.error?.message, 'Participant is offline')
  await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  t.hasStrict((await reader.next('participant:online')).data, { status: 'busy', paused: true })
  t.equal((await chat({ model: 'alice' })).body.error?.message, PAUSED_SENTENCE)
})

t.test('who was paused or unpaused while it was away stays away', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room, base, look, changeParticipant } = await manageRoom(url)
  const { token } = await join(url, room.code)
  await pass(31_000)
  t.hasStrict((await changeParticipant('alice', { paused: true }, token)).body.participant, { status: 'offline' })
  t.hasStrict((await changeParticipant('alice', { paused: false }, token)).body.participant, { status: 'offline' })
  await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  t.equal((await look('alice')).body.participant.status, 'online')
})

t.test('a paused one and one that is away: 503 that names the pause', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room, base, chat, changeParticipant } = await manageRoom(url)
  const { token } = await join(url, room.code)
  await join(url, room.code, { id: 'bob' })
  await changeParticipant('alice', { paused: true }, token)
  await pass(20_000)
  await call('POST', `${base}/health`, { id: 'alice' }, bearer(token))
  await pass(15_000)
  t.equal((await chat()).body.error?.message, PAUSED_SENTENCE)
})

t.test('who joins again stays paused: coming back is no way around a pause', async (t) => {
  const { url, room, token, pause, look, chat } = await startRoom(t)
  await pause()
  const entry = { id: 'alice', nickname: 'Alice', model: 'qwen3:8b', endpoint: 'http://127.0.0.1:1' }
  const { status, body } = await call<Joined>('POST', `${url}/rooms/${room.code}/join`, entry, bearer(token))
  t.equal(status, 201)
  t.hasStrict(body.participant, { status: 'busy', paused: true, model: 'qwen3:8b' })
  t.strictSame((await look('alice')).body.participant, body.participant)
  t.equal((await chat()).status, 503)
})

t.test('who has left and joins anew is somebody new: not paused', async (t) => {
  const { url, room, base, token, pause } = await startRoom(t)
  await pause()
  await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))
  const { participant } = await join(url, room.code)
  t.equal(participant.status, 'online')
  t.notOk('paused' in participant)
})

t.test('the host pauses and unpauses as the participant does', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Hi'))
  const { hostToken, changeParticipant, chat, pause } = await startRoom(t, { endpoint: llm.url })
  t.hasStrict((await changeParticipant('alice', { paused: true }, hostToken)).body.participant, { paused: true })
  t.equal((await chat()).status, 503)
  await pause(false)
  t.equal((await chat()).status, 200, 'its owner has the last word')
})

t.test('a pause leaves everything else, and everything else leaves the pause', async (t) => {
  const { changeParticipant, look, pause, token } = await startRoom(t, { slots: 2, config: { seed: 7 } })
  await pause()
  await changeParticipant('alice', { models: ['qwen3:8b'], slots: 3 }, token)
  const { participant } = (await look('alice')).body
  t.hasStrict(participant, { status: 'busy', paused: true, slots: 3, config: { seed: 7 }, model: 'qwen3:8b' })
})
