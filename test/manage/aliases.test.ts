import t, { type Test } from 'tap'
import { answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { bearer, manageRoom, startRequest } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'

/** Alice has a small model, Bob a large one. */
async function startRoom(t: Test, hub = startHub) {
  const [{ url }, alice, bob] = [await hub(t), await startFakeLlm(t), await startFakeLlm(t)]
  const managed = await manageRoom(url)
  const { token } = await join(url, managed.room.code, { id: 'alice', model: 'llama3.2:3b', endpoint: alice.url })
  await join(url, managed.room.code, { id: 'bob', model: 'qwen3:32b', models: ['phi4:latest'], endpoint: bob.url })
  return { ...managed, url, alice, bob, aliceToken: token }
}

/** The model that a participant was last asked for. */
function askedOf({ requests }: FakeLlm): unknown {
  return (JSON.parse(String(requests.at(-1)?.body)) as { model: unknown }).model
}

interface Listed {
  data: { id: string; owned_by: string; potluck: { kind: string; participants: string[]; models?: string[] } }[]
}

async function listed(base: string) {
  return (await call<Listed>('GET', `${base}/v1/models`)).body.data
}

t.test('PATCH {aliases}: shown by the answer and by GET; without them there are none', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  t.strictSame((await view()).body.room.aliases, {})
  const { status, body } = await change({ aliases: { 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'], small: 'llama3.2:3b' } })
  t.equal(status, 200)
  t.strictSame(body.room.aliases, { 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'], small: ['llama3.2:3b'] })
  t.strictSame((await view()).body, body)
})

t.test('they are replaced as a whole, and stay when something else is changed', async (t) => {
  const { url } = await startHub(t)
  const { change } = await manageRoom(url)
  const aliases = async (body: unknown) => (await change(body)).body.room.aliases
  await change({ aliases: { a: 'x', b: 'y' } })
  t.strictSame(await aliases({ aliases: { c: 'z' } }), { c: ['z'] })
  t.strictSame(await aliases({ name: 'Larder' }), { c: ['z'] })
  t.strictSame(await aliases({ aliases: null }), {})
  await change({ aliases: { a: 'x' } })
  t.strictSame(await aliases({ aliases: {} }), {})
})

t.test('room:updated tells them', async (t) => {
  const { url } = await startHub(t)
  const { base, change, view } = await manageRoom(url)
  const events = await readEvents(t, `${base}/events`)
  await change({ aliases: { 'gpt-4o': 'x' } })
  const { data } = await events.next('room:updated')
  t.strictSame(data?.aliases, { 'gpt-4o': ['x'] })
  t.strictSame(data, (await view()).body.room)
})

t.test('GET /rooms shows none, POST /rooms takes none', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Kitchen', aliases: { a: 'x' } })
  t.notOk('aliases' in room)
  t.strictSame((await call<{ room: object }>('GET', `${url}/rooms/${room.code}`)).body.room, {
    ...room,
    participantCount: 0,
    protected: false,
    listed: true,
    aliases: {},
  })
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [{ ...room, participantCount: 0 }] })
})

t.test('the host alone sets them', async (t) => {
  const { change, view, aliceToken } = await startRoom(t)
  t.equal((await change({ aliases: { a: 'x' } }, {})).status, 401)
  t.equal((await change({ aliases: { a: 'x' } }, bearer('somebody'))).status, 401)
  t.equal((await change({ aliases: { a: 'x' } }, bearer(aliceToken))).status, 403)
  t.strictSame((await view()).body.room.aliases, {})
})

t.test('a circle is refused with a sentence that names it, and nothing of the change is done', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  const before = (await change({ aliases: { a: 'b' } })).body
  const circles: [Record<string, unknown>, string][] = [
    [{ llama3: ['x', 'llama3'] }, 'llama3 → llama3'],
    [{ a: 'b', b: ['x', 'a'] }, 'a → b → a'],
    [{ a: 'b', b: 'c', c: 'd', d: 'e', e: ['x', 'a'] }, 'a → b → c → d → e → a'],
  ]
  for (const [aliases, path] of circles) {
    const { status, body } = await change({ aliases, name: 'Changed' })
    t.equal(status, 400)
    t.strictSame(body, { error: `aliases must not lead in a circle: ${path}` })
  }
  t.strictSame((await view()).body, before)
})

t.test('diamonds and long chains are no circles', async (t) => {
  const { change, chat, alice } = await startRoom(t)
  t.equal((await change({ aliases: { a: ['b', 'c'], b: 'd', c: 'd', d: 'llama3.2:3b' } })).status, 200)
  t.equal((await chat({ model: 'a' })).status, 200)
  const chain = Object.fromEntries(Array.from({ length: 99 }, (_, index) => [`n${index}`, `n${index + 1}`]))
  t.equal((await change({ aliases: { ...chain, n99: 'llama3.2:3b' } })).status, 200)
  t.equal((await chat({ model: 'n0' })).status, 200)
  t.strictSame([alice.requests.length, askedOf(alice)], [2, 'llama3.2:3b'])
})

t.test('what is no alias is refused by its field', async (t) => {
  const { url } = await startHub(t)
  const { change, view } = await manageRoom(url)
  const hundred = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`a${index}`, 'x']))
  const wrong = [
    'x',
    12,
    ['x'],
    { x: null },
    { x: 12 },
    { x: [] },
    { x: ['y', 12] },
    { x: {} },
    { x: '' },
    { x: 'a\nb' },
    { x: 'y'.repeat(201) },
    { x: Array.from({ length: 17 }, (_, index) => `m${index}`) },
    { '': 'x' },
    { 'a\nb': 'x' },
    { ['x'.repeat(201)]: 'y' },
    { '*': 'x' },
    { any: 'x' },
    { 'model:x': 'y' },
    { x: '*' },
    { x: ['y', 'model:z'] },
    { ...hundred, 'one more': 'x' },
  ]
  for (const aliases of wrong) {
    const { status, body } = await change({ aliases })
    t.equal(status, 400, JSON.stringify(aliases).slice(0, 40))
    t.match(body.error, /^aliases(\.\S+)? must /)
  }
  t.strictSame((await view()).body.room.aliases, {})
  t.equal((await change({ aliases: hundred })).status, 200)
})

t.test('names that every object has harm nobody', async (t) => {
  const { change, view, chat, base, alice } = await startRoom(t)
  const { status } = await change('{"aliases": {"__proto__": ["llama3.2:3b"]}}')
  t.equal(status, 400)
  for (const model of ['__proto__', 'constructor', 'toString']) t.equal((await chat({ model })).status, 404, model)
  const aliases = { constructor: ['llama3.2:3b'], toString: ['constructor'], hasOwnProperty: ['x'] }
  t.equal((await change({ aliases })).status, 200)
  t.equal(JSON.stringify((await view()).body.room.aliases), JSON.stringify(aliases))
  t.equal((await chat({ model: 'toString' })).status, 200)
  t.equal(askedOf(alice), 'llama3.2:3b')
  t.strictSame(
    (await listed(base)).filter(({ potluck }) => potluck.kind === 'alias').map(({ id }) => id),
    ['constructor', 'toString'],
  )
})

t.test('a request for an alias goes to its first model that somebody serves, with the real name', async (t) => {
  const { change, chat, alice, bob } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': ['gemma3', 'qwen3:32b', 'llama3.2:3b'], fast: ['phi4'] } })
  t.equal((await chat({ model: 'gpt-4o' })).status, 200)
  t.strictSame([askedOf(bob), alice.requests.length], ['qwen3:32b', 0])
  t.equal((await chat({ model: 'fast' })).status, 200)
  t.equal(askedOf(bob), 'phi4:latest', 'with the implied tag')
})

t.test('while nobody serves the first model, the next one is taken', async (t) => {
  const { base, change, chat, alice, bob } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'] } })
  await call('DELETE', `${base}/leave/bob`)
  t.equal((await chat({ model: 'gpt-4o' })).status, 200)
  t.strictSame([askedOf(alice), bob.requests.length], ['llama3.2:3b', 0])
})

t.test('events tell what the client wrote', async (t) => {
  const { base, change, chat } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': 'qwen3:32b' } })
  const events = await readEvents(t, `${base}/events`)
  await chat({ model: 'gpt-4o' })
  t.hasStrict((await events.next('llm:request')).data, { model: 'gpt-4o', participantId: 'bob' })
  t.hasStrict((await events.next('llm:complete')).data, { model: 'gpt-4o' })
})

t.test('the order: a model of that very name, an alias, the implied tag, an id', async (t) => {
  const { change, chat, alice, bob } = await startRoom(t)
  const aliases = { 'qwen3:32b': 'llama3.2:3b', phi4: 'llama3.2:3b', bob: 'llama3.2:3b' }
  await change({ aliases })
  await chat({ model: 'qwen3:32b' })
  t.strictSame([askedOf(bob), alice.requests.length], ['qwen3:32b', 0], 'the model')
  await chat({ model: 'phi4' })
  await chat({ model: 'bob' })
  t.strictSame([askedOf(alice), alice.requests.length], ['llama3.2:3b', 2], 'the alias')
  await chat({ model: 'phi4:latest' })
  await chat({ model: 'model:phi4' })
  t.strictSame([askedOf(bob), bob.requests.length], ['phi4:latest', 3], 'model: means no alias')
})

t.test('case counts', async (t) => {
  const { change, chat } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': 'llama3.2:3b', 'GPT-4O': 'nothing' } })
  t.equal((await chat({ model: 'gpt-4o' })).status, 200)
  for (const model of ['GPT-4O', 'Gpt-4o']) t.equal((await chat({ model })).status, 404, model)
})

t.test('an alias that leads nowhere is 404, and the error says so', async (t) => {
  const { change, chat } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': ['gemma3', 'alice'] } })
  const { status, body } = await chat({ model: 'gpt-4o' })
  t.equal(status, 404)
  t.equal(
    body.error?.message,
    'No available participant for the requested model: nobody offers what the alias gpt-4o leads to',
  )
  t.equal(
    (await chat({ model: 'model:gpt-4o' })).body.error?.message,
    'No available participant for the requested model',
  )
})

t.test('an alias is 503 where all whom it leads to have paused, or are away', async (t) => {
  let pass = async (_ms: number) => {}
  const { change, chat, changeParticipant, aliceToken, base } = await startRoom(t, async (t) => {
    const hub = await startTimedHub(t)
    pass = hub.pass
    return hub
  })
  await change({ aliases: { small: 'llama3.2:3b', any_size: ['llama3.2:3b', 'qwen3:32b'] } })
  await changeParticipant('alice', { paused: true }, aliceToken)
  t.equal((await chat({ model: 'small' })).status, 503)
  t.equal((await chat({ model: 'any_size' })).status, 200)
  t.strictSame(
    (await listed(base)).find(({ id }) => id === 'any_size')?.potluck.participants,
    ['alice', 'bob'],
    'who has paused is there all the same',
  )
  await pass(31_000)
  const { status, body } = await chat({ model: 'any_size' })
  t.strictSame([status, body.error?.message], [503, 'Participant is offline'])
})

t.test('v1/models: aliases that lead to somebody stand between the models and the participants', async (t) => {
  const { base, change } = await startRoom(t)
  const aliases = { 'gpt-4o': ['gemma3', 'qwen3:32b', 'llama3.2:3b'], gone: 'gemma3', 'qwen3:32b': 'x', way: 'gpt-4o' }
  await change({ aliases })
  const data = await listed(base)
  t.strictSame(
    data.map(({ id, potluck }) => [id, potluck.kind]),
    [
      ['llama3.2:3b', 'model'],
      ['qwen3:32b', 'model'],
      ['phi4:latest', 'model'],
      ['gpt-4o', 'alias'],
      ['way', 'alias'],
      ['alice', 'participant'],
      ['bob', 'participant'],
      ['*', 'any'],
    ],
  )
  const potluck = { kind: 'alias', participants: ['alice', 'bob'], models: ['gemma3', 'qwen3:32b', 'llama3.2:3b'] }
  for (const id of ['gpt-4o', 'way'])
    t.hasStrict(
      data.find((model) => model.id === id),
      { owned_by: 'potluck', potluck },
    )
})

t.test('aliases that change while a request runs hold from the next one on', async (t) => {
  const { base, change, chat, alice, bob } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': 'qwen3:32b' } })
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  bob.answer(async (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: {"choices":[{"delta":{"content":"begun"}}]}\n\n')
    await mayEnd
    response.end('data: [DONE]\n\n')
  })
  const body = { model: 'gpt-4o', stream: true, messages: [] }
  const running = await startRequest(t, `${base}/v1/chat/completions`, body)
  await running.until('begun')
  await change({ aliases: { 'gpt-4o': 'llama3.2:3b' } })
  t.equal((await chat({ model: 'gpt-4o' })).status, 200)
  t.strictSame([alice.requests.length, bob.requests.length], [1, 1])
  await change({ aliases: null })
  t.equal((await chat({ model: 'gpt-4o' })).status, 404)
  end()
  t.match(await running.ended, { complete: true, text: /begun[\s\S]*\[DONE\]/ })
})

t.test('aliases of one room are nothing in another', async (t) => {
  const { url, change } = await startRoom(t)
  await change({ aliases: { 'gpt-4o': 'llama3.2:3b' } })
  const llm = await startFakeLlm(t, answerPlain('Hello'))
  const other = await manageRoom(url)
  await join(url, other.room.code, { endpoint: llm.url })
  t.strictSame((await other.view()).body.room.aliases, {})
  t.equal((await other.chat({ model: 'gpt-4o' })).status, 404)
})
