import t, { type Test } from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { type Answer, call, type Joined, join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'

const ENTRY = { id: 'alice', nickname: 'Alice', endpoint: 'http://127.0.0.1:1' }

async function startRoom(t: Test) {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  const tryJoin = (body: Record<string, unknown>): Promise<Answer<Joined & { error?: string }>> =>
    call('POST', `${managed.base}/join`, { ...ENTRY, ...body })
  return { ...managed, url, tryJoin }
}

t.test('models: the first one is `model`', async (t) => {
  const { tryJoin } = await startRoom(t)
  const { status, body } = await tryJoin({ models: ['llama3.2:3b', 'qwen3:8b'] })
  t.equal(status, 201)
  t.hasStrict(body.participant, { model: 'llama3.2:3b', models: ['llama3.2:3b', 'qwen3:8b'] })
})

t.test('`model` and `models`: `model` comes first, whatever its place in the list', async (t) => {
  const { tryJoin } = await startRoom(t)
  for (const models of [['qwen3:8b', 'llama3.2:3b'], ['qwen3:8b']]) {
    const { body } = await tryJoin({ model: 'llama3.2:3b', models })
    t.hasStrict(body.participant, { model: 'llama3.2:3b', models: ['llama3.2:3b', 'qwen3:8b'] })
  }
})

t.test('`model` alone is a list of one', async (t) => {
  const { tryJoin } = await startRoom(t)
  for (const models of [undefined, null]) {
    const { body } = await tryJoin({ model: 'llama3.2:3b', models })
    t.hasStrict(body.participant, { model: 'llama3.2:3b', models: ['llama3.2:3b'] })
  }
})

t.test('duplicates are folded', async (t) => {
  const { tryJoin } = await startRoom(t)
  const { body } = await tryJoin({ model: 'a', models: ['b', 'a', 'b', 'c', 'c'] })
  t.strictSame(body.participant.models, ['a', 'b', 'c'])
})

t.test('an empty `model` is as good as none where there are models', async (t) => {
  const { tryJoin } = await startRoom(t)
  for (const model of ['', null]) {
    const { body } = await tryJoin({ model, models: ['qwen3:8b'] })
    t.equal(body.participant.model, 'qwen3:8b')
  }
})

t.test('neither: the sentence of the base', async (t) => {
  const { tryJoin } = await startRoom(t)
  for (const nothing of [{}, { model: '' }, { model: '  ' }, { model: null }, { model: null, models: null }]) {
    const { status, body } = await tryJoin(nothing)
    t.equal(status, 400, JSON.stringify(nothing))
    t.strictSame(body, { error: 'Missing required fields: id, nickname, model, endpoint' })
  }
})

t.test('a list that is none, or holds what is no name, is refused by its name', async (t) => {
  const { tryJoin } = await startRoom(t)
  const wrong = [[], 'qwen3:8b', {}, 12, [''], ['a', 12], ['a', null], ['a\nb'], ['x'.repeat(201)], [['a']]]
  for (const models of wrong) {
    const { status, body } = await tryJoin({ models })
    t.equal(status, 400, JSON.stringify(models).slice(0, 40))
    t.match(body.error, /^models(\[\d\])? must be /)
  }
})

t.test('a blank name in the list is no name either', async (t) => {
  const { tryJoin } = await startRoom(t)
  for (const models of [['   '], ['qwen3:8b', ' ']]) t.equal((await tryJoin({ models })).status, 400)
})

t.test('256 models and 8192 characters are allowed, more are not', async (t) => {
  const { tryJoin } = await startRoom(t)
  const models = Array.from({ length: 256 }, (_, index) => `${index}-`.padEnd(32, 'x'))
  const most = await tryJoin({ models })
  t.equal(most.status, 201)
  t.strictSame(most.body.participant.models, models)
  t.equal((await tryJoin({ models: [...models, 'one more'] })).status, 400)
  t.equal((await tryJoin({ models: [`${models[0]}x`, ...models.slice(1)] })).status, 400)
})

t.test('`model` counts: no participant offers more than 256', async (t) => {
  const { tryJoin } = await startRoom(t)
  const models = Array.from({ length: 256 }, (_, index) => `m${index}`)
  t.equal((await tryJoin({ model: 'one more', models })).status, 400)
  t.equal((await tryJoin({ model: 'm7', models })).status, 201)
})

t.test('a request for a second model goes there with its real name', async (t) => {
  const [{ tryJoin, chat }, llm] = [await startRoom(t), await startFakeLlm(t)]
  await tryJoin({ endpoint: llm.url, models: ['llama3.2:3b', 'qwen3:latest', 'gemma3'] })
  const asked = [
    ['qwen3:latest', 'qwen3:latest'],
    ['qwen3', 'qwen3:latest'],
    ['gemma3:latest', 'gemma3'],
    ['model:gemma3', 'gemma3'],
    ['alice', 'llama3.2:3b'],
    ['*', 'llama3.2:3b'],
  ] as const
  for (const [model, real] of asked) {
    t.equal((await chat({ model })).status, 200, model)
    t.equal(JSON.parse(String(llm.requests.at(-1)?.body)).model, real, model)
  }
})

t.test('a model that nobody offers is 404, though somebody offers others', async (t) => {
  const { tryJoin, chat } = await startRoom(t)
  await tryJoin({ models: ['llama3.2:3b', 'qwen3:8b'] })
  t.equal((await chat({ model: 'gemma3' })).status, 404)
})

t.test('requests for a model are shared by those who offer it, first or not', async (t) => {
  const [{ tryJoin, chat }, alice, bob] = [await startRoom(t), await startFakeLlm(t), await startFakeLlm(t)]
  await tryJoin({ endpoint: alice.url, models: ['llama3.2:3b', 'qwen3:8b'] })
  await tryJoin({ id: 'bob', endpoint: bob.url, models: ['qwen3:8b', 'gemma3'] })
  for (let count = 0; count < 4; count++) await chat({ model: 'qwen3:8b' })
  t.strictSame([alice.requests.length, bob.requests.length], [2, 2])
  await chat({ model: 'gemma3' })
  t.equal(bob.requests.length, 3)
})

t.test('v1/models: each distinct name once with who offers it, then ids, then `*`', async (t) => {
  const { base, tryJoin } = await startRoom(t)
  await tryJoin({ models: ['llama3.2:3b', 'qwen3:8b'] })
  await tryJoin({ id: 'bob', models: ['qwen3:8b', 'gemma3'] })
  const { body } = await call<{ data: { id: string; potluck: object }[] }>('GET', `${base}/v1/models`)
  t.strictSame(
    body.data.map(({ id, potluck }) => [id, potluck]),
    [
      ['llama3.2:3b', { kind: 'model', participants: ['alice'] }],
      ['qwen3:8b', { kind: 'model', participants: ['alice', 'bob'] }],
      ['gemma3', { kind: 'model', participants: ['bob'] }],
      ['alice', { kind: 'participant', participants: ['alice'], models: ['llama3.2:3b', 'qwen3:8b'] }],
      ['bob', { kind: 'participant', participants: ['bob'], models: ['qwen3:8b', 'gemma3'] }],
      ['*', { kind: 'any', participants: ['alice', 'bob'] }],
    ],
  )
})

t.test('no id may capture a second model, no second model an id: 409', async (t) => {
  const { tryJoin } = await startRoom(t)
  await tryJoin({ models: ['llama3.2:3b', 'qwen3'] })
  t.equal((await tryJoin({ id: 'qwen3', models: ['x'] })).status, 409)
  t.equal((await tryJoin({ id: 'qwen3:latest', models: ['x'] })).status, 409)
  t.equal((await tryJoin({ id: 'bob', models: ['x', 'alice'] })).status, 409)
  t.equal((await tryJoin({ id: 'bob', models: ['x', 'bob'] })).status, 409)
})

t.test('slots are shown where they are told, and nowhere else', async (t) => {
  const { url, room } = await startRoom(t)
  t.equal((await join(url, room.code, { id: 'alice', slots: 4 })).participant.slots, 4)
  t.notOk('slots' in (await join(url, room.code, { id: 'bob' })).participant)
})
