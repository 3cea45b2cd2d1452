import t, { type Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'

async function startRoom(t: Test, body: Partial<JoinBody> = {}) {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  const { participant, token } = await join(url, managed.room.code, body)
  const change = (changes: Record<string, unknown>) => managed.changeParticipant('alice', changes, token)
  return { ...managed, url, participant, token, change }
}

t.test('GET …/participants/:id: the participant as the list shows it', async (t) => {
  const { base, participant, look } = await startRoom(t, { specs: { gpu: 'RTX 4090', vram: 24 }, slots: 2 })
  const { status, body } = await look('alice')
  t.equal(status, 200)
  t.strictSame(body, { participant, passedOver: {} })
  t.strictSame((await call('GET', `${base}/participants`)).body, { participants: [participant] })
})

t.test('GET …/participants/:id: 404 where there is nobody of that id, in that very case', async (t) => {
  const { look } = await startRoom(t)
  for (const id of ['bob', 'Alice', 'alice%20', '..%2Falice', '__proto__', 'a'.repeat(65)]) {
    const { status, body } = await look(id)
    t.strictSame([status, body], [404, { error: 'Participant not found' }], id)
  }
})

t.test('a change answers with the participant as it is now, and leaves the rest', async (t) => {
  const { participant, change, look } = await startRoom(t, { config: { seed: 7 }, specs: { ram: 32 } })
  const { status, body } = await change({ slots: 3 })
  t.equal(status, 200)
  t.strictSame(body, { participant: { ...participant, slots: 3 } })
  t.strictSame((await look('alice')).body.participant, body.participant)
})

t.test('a change of nothing changes nothing', async (t) => {
  const { participant, change } = await startRoom(t)
  t.strictSame((await change({})).body, { participant })
})

t.test('models are replaced: the first one is `model`', async (t) => {
  const { participant, change } = await startRoom(t)
  const models = ['qwen3:8b', 'gemma3:4b', 'qwen3:8b']
  t.strictSame((await change({ models })).body, {
    participant: { ...participant, model: 'qwen3:8b', models: ['qwen3:8b', 'gemma3:4b'] },
  })
})

t.test('models are replaced: requests follow at once', async (t) => {
  const [{ url, room, chat, changeParticipant }, llm] = [await startRoom(t), await startFakeLlm(t)]
  const { token } = await join(url, room.code, { id: 'bob', model: 'qwen3:8b', endpoint: llm.url })
  await changeParticipant('bob', { models: ['gemma3:4b'] }, token)
  t.equal((await chat({ model: 'qwen3:8b' })).status, 404)
  t.equal((await chat({ model: 'gemma3:4b' })).status, 200)
  t.equal(JSON.parse(String(llm.requests[0]?.body)).model, 'gemma3:4b')
})

t.test("a model that is another participant's id would capture its requests: 409", async (t) => {
  const { url, room, change, look } = await startRoom(t)
  await join(url, room.code, { id: 'bob' })
  const before = (await look('alice')).body
  for (const models of [['bob'], ['qwen3:8b', 'bob'], ['bob:latest']]) {
    const { status, body } = await change({ models, slots: 9 })
    t.equal(status, 409, models.join())
    t.match(body.error, /model name .* is another participant's id/)
  }
  t.strictSame((await look('alice')).body, before, 'and nothing of it is done')
})

t.test("a model that is the participant's own id is refused as at the join: 409", async (t) => {
  const { change } = await startRoom(t)
  for (const models of [['alice'], ['alice:latest']]) t.equal((await change({ models })).status, 409)
})

t.test('a model that is given up is free to be an id', async (t) => {
  const { url, room, change } = await startRoom(t, { model: 'carol' })
  const entry = { id: 'carol', nickname: 'C', model: 'm', endpoint: 'http://127.0.0.1:1' }
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, entry)).status, 409)
  await change({ models: ['dora'] })
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, entry)).status, 201)
})

t.test('config is replaced as a whole, and applied from the next request on', async (t) => {
  const llm = await startFakeLlm(t)
  const { change, chat } = await startRoom(t, { endpoint: llm.url, config: { temperature: 1, seed: 7 } })
  const sent = async () => {
    await chat()
    const { model: _, messages: __, ...rest } = JSON.parse(String(llm.requests.at(-1)?.body)) as Record<string, unknown>
    return rest
  }
  t.strictSame(await sent(), { temperature: 1, seed: 7 })
  const { body } = await change({ config: { top_p: 0.5, stop: 'END', max_tokens: null, colour: 'blue' } })
  t.strictSame(body.participant.config, { top_p: 0.5, stop: ['END'] })
  t.strictSame(await sent(), { top_p: 0.5, stop: ['END'] })
  t.strictSame((await change({ config: null })).body.participant.config, {})
  t.strictSame(await sent(), {})
})

t.test('specs are replaced as a whole', async (t) => {
  const { change } = await startRoom(t, { specs: { gpu: 'RTX 4090', vram: 24, ram: 64 } })
  t.strictSame((await change({ specs: { cpu: 'M4', ram: 32, vram: null } })).body.participant.specs, {
    cpu: 'M4',
    ram: 32,
  })
  t.strictSame((await change({ specs: null })).body.participant.specs, {})
})

t.test('slots are a whole number from 1 to 10000', async (t) => {
  const { change } = await startRoom(t)
  for (const slots of [1, 10_000]) t.equal((await change({ slots })).body.participant.slots, slots)
  for (const slots of [0, -1, 1.5, 10_001, '2', null, true]) {
    const { status, body } = await change({ slots })
    t.equal(status, 400, JSON.stringify(slots))
    t.match(body.error, /^slots must be /)
  }
})

t.test('what a participant can’t change is refused by its name', async (t) => {
  const { participant, change, look } = await startRoom(t)
  for (const field of ['id', 'nickname', 'model', 'endpoint', 'status', 'joinedAt', 'liveness', 'password', 'colour']) {
    const { status, body } = await change({ [field]: 'x', slots: 9 })
    t.equal(status, 400, field)
    t.match(body.error, new RegExp(`^${field} `))
  }
  t.strictSame((await look('alice')).body.participant, participant, 'and nothing of it is done')
})

t.test('a field of the wrong kind is refused by its name', async (t) => {
  const { participant, change, look } = await startRoom(t)
  const wrong = [
    { models: [] },
    { models: 'qwen3:8b' },
    { models: [''] },
    { models: ['a\nb'] },
    { models: [12] },
    { models: null },
    { models: Array.from({ length: 257 }, (_, index) => `m${index}`) },
    { models: ['x'.repeat(201)] },
    { config: 'hot' },
    { config: { temperature: 'hot' } },
    { specs: { ram: -1 } },
    { specs: [] },
    { paused: 'yes' },
    { paused: null },
  ]
  for (const changes of wrong) {
    const { status, body } = await change(changes)
    t.equal(status, 400, JSON.stringify(changes).slice(0, 60))
    t.match(body.error, new RegExp(`^${Object.keys(changes)[0]}[.[ ].*must be `))
  }
  t.strictSame((await look('alice')).body.participant, participant)
})

t.test('a blank model name is refused: nobody could ask for it', async (t) => {
  const { change } = await startRoom(t)
  for (const models of [['   '], ['qwen3:8b', ' ']]) t.equal((await change({ models })).status, 400)
})

t.test('the list and the models of the room show the change', async (t) => {
  const { base, change } = await startRoom(t)
  await change({ models: ['qwen3:8b'] })
  const { body } = await call<{ participants: { model: string }[] }>('GET', `${base}/participants`)
  t.strictSame(
    body.participants.map(({ model }) => model),
    ['qwen3:8b'],
  )
  const models = await call<{ data: { id: string }[] }>('GET', `${base}/v1/models`)
  t.strictSame(
    models.body.data.map(({ id }) => id),
    ['qwen3:8b', 'alice', '*'],
  )
})

t.test('a change is no sign of life', async (t) => {
  const { participant, change } = await startRoom(t)
  const { lastSeen, joinedAt } = (await change({ slots: 2 })).body.participant
  t.strictSame([lastSeen, joinedAt], [participant.lastSeen, participant.joinedAt])
})

t.test('the order in the list stays', async (t) => {
  const { url, room, base, change } = await startRoom(t)
  await join(url, room.code, { id: 'bob' })
  await change({ slots: 2 })
  const { body } = await call<{ participants: { id: string }[] }>('GET', `${base}/participants`)
  t.strictSame(
    body.participants.map(({ id }) => id),
    ['alice', 'bob'],
  )
})

t.test('a change with the token is a use of the token: from then on the address alone speaks for nobody', async (t) => {
  const { base, change, token } = await startRoom(t)
  await change({ slots: 2 })
  t.equal((await call('POST', `${base}/health`, { id: 'alice' })).status, 401)
  t.equal((await call('DELETE', `${base}/leave/alice`)).status, 401)
  t.equal((await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))).status, 200)
})
