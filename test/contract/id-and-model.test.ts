import t, { type Test } from 'tap'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'

async function startRoom(t: Test) {
  const { url } = await startHub(t)
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  const tryJoin = (id: string, model: string) =>
    call('POST', `${base}/join`, { id, model, nickname: id, endpoint: 'http://127.0.0.1:1' })
  return { url, base, tryJoin }
}

t.test("an id that equals a model on offer is refused at join: it would capture that model's traffic", async (t) => {
  const { tryJoin } = await startRoom(t)
  await tryJoin('alice', 'llama3')
  const { status, body } = await tryJoin('llama3', 'qwen3')
  t.equal(status, 409)
  t.match(body.error, /llama3/)
})

t.test("a model that equals a participant's id is refused at join as well", async (t) => {
  const { tryJoin } = await startRoom(t)
  await tryJoin('llama3', 'qwen3')
  const { status, body } = await tryJoin('alice', 'llama3')
  t.equal(status, 409)
  t.match(body.error, /llama3/)
})

t.test("an id that equals one's own model is refused", async (t) => {
  const { tryJoin } = await startRoom(t)
  t.equal((await tryJoin('llama3', 'llama3')).status, 409)
  t.equal((await tryJoin('llama3', 'llama3:latest')).status, 409)
})

t.test("with Ollama's implied `:latest` they are equal too, whichever of the two has it", async (t) => {
  const pairs = [
    ['llama3', 'llama3:latest'],
    ['llama3:latest', 'llama3'],
    ['llama3:latest', 'llama3:latest'],
  ] as const
  for (const [id, model] of pairs) {
    const [first, second] = [await startRoom(t), await startRoom(t)]
    await first.tryJoin('alice', model)
    t.equal((await first.tryJoin(id, 'qwen3')).status, 409, `id ${id} behind model ${model}`)
    await second.tryJoin(id, 'qwen3')
    t.equal((await second.tryJoin('alice', model)).status, 409, `model ${model} behind id ${id}`)
  }
})

t.test('another tag is another model', async (t) => {
  const { tryJoin } = await startRoom(t)
  await tryJoin('alice', 'llama3:8b')
  t.equal((await tryJoin('llama3', 'qwen3')).status, 201)
})

t.test('in another room the name is free', async (t) => {
  const { url, tryJoin } = await startRoom(t)
  await tryJoin('alice', 'llama3')
  const { room } = await openRoom(url)
  t.ok(await join(url, room.code, { id: 'llama3', model: 'qwen3' }))
})

t.test('once the model is gone from the room, the id is free', async (t) => {
  const { base, tryJoin } = await startRoom(t)
  await tryJoin('alice', 'llama3')
  await call('DELETE', `${base}/leave/alice`)
  t.equal((await tryJoin('llama3', 'qwen3')).status, 201)
})

t.test('joining again with another model is held to the same rule, and the refusal changes nothing', async (t) => {
  const { base, tryJoin } = await startRoom(t)
  await tryJoin('alice', 'llama3')
  await tryJoin('bob', 'qwen3')
  t.equal((await tryJoin('alice', 'bob')).status, 409)
  const { body } = await call<{ participants: { model: string }[] }>('GET', `${base}/participants`)
  t.strictSame(
    body.participants.map(({ model }) => model),
    ['llama3', 'qwen3'],
  )
})

t.test('a request for a model goes to who offers it, whoever tried to take its name', async (t) => {
  const [owner, thief] = [await startFakeLlm(t, answerPlain('owner')), await startFakeLlm(t, answerPlain('thief'))]
  const { url } = await startHub(t)
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  const entry = { nickname: 'x', endpoint: owner.url, id: 'alice', model: 'llama3:latest' }
  await call('POST', `${base}/join`, entry)
  await call('POST', `${base}/join`, { ...entry, endpoint: thief.url, id: 'llama3', model: 'qwen3' })
  await call('POST', `${base}/v1/chat/completions`, { model: 'llama3', messages: [] })
  t.strictSame([owner.requests.length, thief.requests.length], [1, 0])
})
