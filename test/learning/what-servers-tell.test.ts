import t, { type Test } from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { type Answerer, answerNever, answerPlain } from '../support/fake-llm.ts'
import { call } from '../support/hub.ts'
import { llamaCpp, lmStudio, ollama, type Told, tells, vllm } from '../support/llm-kinds.ts'
import { bearer } from '../support/managed.ts'
import { ask, attemptsOf, chat, MODEL, setTable, soon, type Table, type TableOptions, take } from '../support/table.ts'
import { eventually } from '../support/wire.ts'

const LEARNING: TableOptions = { hub: { learnIntervalMs: 50, defaultSlots: 1 }, join: { slots: null } }

/** What each tells of itself is known before the test goes on. */
async function setLearnt(t: Test, told: Record<string, Told | Answerer>, options: TableOptions = {}): Promise<Table> {
  const cooks = Object.entries(told).map(([id, each]) => [id, typeof each === 'function' ? each : tells(each)])
  const table = await setTable(t, Object.fromEntries(cooks), {
    hub: { ...LEARNING.hub, ...options.hub },
    join: { ...LEARNING.join, ...options.join },
  })
  for (const id of Object.keys(told)) await learnt(table, id)
  return table
}

/** A change makes the hub look anew; once it asks for the second time, what came of the first is known. */
async function learnt({ llms, base, joined }: Table, id: string): Promise<void> {
  const looks = () => llms[id]!.requests.filter(({ path }) => path === '/api/version').length
  const before = looks()
  const token = bearer(joined[id]?.token as string)
  const deadline = Date.now() + 15_000
  for (let change = 0; looks() < before + 2; change++) {
    if (Date.now() > deadline) throw new Error(`${id} was not asked about itself`)
    await call('PATCH', `${base}/participants/${id}`, { specs: { ram: change } }, token)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const posts = ({ llms }: Table, id: string) =>
  llms[id]!.requests.filter(({ method, path }) => method === 'POST' && path !== '/api/show')

const MANY = 12

/** Of many requests, the server gets so many at once. */
async function takes(t: Test, table: Table, told: Told, slots: number): Promise<void> {
  table.llms.alice!.answer(tells(told, answerNever))
  for (let sent = 0; sent < MANY; sent++) ask(t, table.chatUrl, chat('Hello'))
  await take(table.events, 'llm:queued', MANY - slots)
  await take(table.events, 'llm:request', slots)
  await eventually(() => posts(table, 'alice').length === slots, 'all that fit are there')
}

/** The server, and how many it takes at once. */
const KINDS: [string, Told, number][] = [
  ['Ollama', ollama({}), 1],
  ['llama.cpp', llamaCpp(3, 4096), 3],
  ['LM Studio', lmStudio([{ id: MODEL, type: 'llm', state: 'loaded' }]), 4],
  ['vLLM', vllm(MODEL, 4096), 12],
  ['one that tells nothing', {}, 2],
]

for (const [what, told, slots] of KINDS) {
  t.test(`${what} gets ${slots} of 12 at once`, async (t) => {
    const table = await setLearnt(t, { alice: told }, { hub: { defaultSlots: 2 } })
    await takes(t, table, told, slots)
    t.equal(posts(table, 'alice').length, slots)
  })
}

t.test('what a participant says of its slots itself counts', async (t) => {
  const table = await setLearnt(t, { alice: llamaCpp(3, 4096) }, { join: { slots: 2 } })
  await takes(t, table, llamaCpp(3, 4096), 2)
  t.equal(posts(table, 'alice').length, 2)
})

const EMBED = { model: MODEL, input: 'Hello' }
const IMAGE = {
  model: MODEL,
  messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }],
}
const TOOLS = { model: MODEL, messages: [], tools: [{ type: 'function', function: { name: 'look' } }] }
const LONG = chat('soup '.repeat(10_000))

const able = (...capabilities: string[]): Told => ollama({ [MODEL]: ['completion', ...capabilities] })

/** What is asked, who can't, who can. */
const NEEDS: [string, string, object, Told, Told][] = [
  ['embeddings (Ollama)', '/v1/embeddings', EMBED, able('tools'), able('embedding')],
  ['images (Ollama)', '/v1/chat/completions', IMAGE, able('tools'), able('vision')],
  ['tools (Ollama)', '/v1/chat/completions', TOOLS, able('vision'), able('tools')],
  [
    'images (llama.cpp)',
    '/v1/chat/completions',
    IMAGE,
    llamaCpp(1, 4096, { modalities: { vision: false } }),
    llamaCpp(1, 4096, { modalities: { vision: true } }),
  ],
  [
    'embeddings (LM Studio)',
    '/v1/embeddings',
    EMBED,
    lmStudio([{ id: MODEL, type: 'llm' }]),
    lmStudio([{ id: MODEL, type: 'embeddings' }]),
  ],
  [
    'images (LM Studio)',
    '/v1/chat/completions',
    IMAGE,
    lmStudio([{ id: MODEL, type: 'llm' }]),
    lmStudio([{ id: MODEL, type: 'vlm' }]),
  ],
  ['long prompts (llama.cpp)', '/v1/chat/completions', LONG, llamaCpp(1, 2048), llamaCpp(1, 65_536)],
  ['long prompts (vLLM)', '/v1/chat/completions', LONG, vllm(MODEL, 2048), vllm(MODEL, 65_536)],
  [
    'long prompts (Ollama)',
    '/v1/chat/completions',
    LONG,
    ollama({}, { [MODEL]: 2048 }),
    ollama({}, { [MODEL]: 65_536 }),
  ],
]

for (const [what, path, body, unable, fit] of NEEDS) {
  t.test(`${what} go only where they can be served`, async (t) => {
    const table = await setLearnt(t, { alice: unable, bob: fit })
    for (let sent = 0; sent < 4; sent++) {
      const { status, headers } = await send(t, `${table.base}${path}`, body)
      t.strictSame([status, headers['x-potluck-participant']], [200, 'bob'])
    }
    t.equal(posts(table, 'alice').length, 0)
    const { body: looked } = await call<{ passedOver: object }>('GET', `${table.base}/participants/alice`)
    t.strictSame(looked.passedOver, { unable: 4 })
  })
}

t.test('who tells nothing may', async (t) => {
  const table = await setLearnt(t, { alice: able(), bob: {} })
  for (const body of [IMAGE, TOOLS, LONG])
    t.match(await send(t, table.chatUrl, body), { headers: { 'x-potluck-participant': 'bob' } })
})

t.test('where nobody can, the error says what is missing, and nothing goes upstream', async (t) => {
  const table = await setLearnt(t, { alice: able(), bob: able('embedding') })
  const asks: [string, object, RegExp][] = [
    ['/v1/chat/completions', IMAGE, /see images/],
    ['/v1/chat/completions', TOOLS, /call tools/],
  ]
  for (const [path, body, why] of asks) {
    const answer = await send(t, `${table.base}${path}`, body)
    t.strictSame([answer.status, errorOf(answer).code], [400, 'PTL_NOBODY_ABLE'])
    t.match(errorOf(answer).message, why)
  }
  t.equal(posts(table, 'alice').length + posts(table, 'bob').length, 0)
})

t.test('where no window is large enough, the error says who came nearest', async (t) => {
  const table = await setLearnt(t, { alice: llamaCpp(1, 1024), bob: llamaCpp(1, 4096), carol: llamaCpp(1, 2048) })
  const answer = await send(t, table.chatUrl, LONG)
  t.strictSame([answer.status, errorOf(answer).code], [400, 'PTL_PROMPT_TOO_LONG'])
  t.match(errorOf(answer).message, /bob, with 4096/)
  t.match(errorOf(answer).message, /some [78]\d\d\d tokens/)
})

t.test('who has the model loaded comes first', async (t) => {
  const told = { alice: ollama({}), bob: ollama({}, { [MODEL]: 4096 }) }
  const table = await setLearnt(t, told)
  for (let sent = 0; sent < 3; sent++) {
    const { headers } = await send(t, table.chatUrl, chat('Hello'))
    t.match(headers, { 'x-potluck-participant': 'bob', 'x-potluck-reason': 'loaded' })
  }
})

t.test('a model that is loaded later comes first from then on', async (t) => {
  const table = await setLearnt(t, { alice: ollama({}, { [MODEL]: 4096 }), bob: ollama({}) })
  t.match(await send(t, table.chatUrl, chat('Hello')), { headers: { 'x-potluck-participant': 'alice' } })
  table.llms.alice?.answer(tells(ollama({})))
  table.llms.bob?.answer(tells(ollama({}, { [MODEL]: 4096 })))
  await learnt(table, 'alice')
  await learnt(table, 'bob')
  t.match(await send(t, table.chatUrl, chat('Hello')), { headers: { 'x-potluck-participant': 'bob' } })
})

t.test('those who wait for a window that is large enough get it once there is one', async (t) => {
  const table = await setLearnt(t, { alice: llamaCpp(1, 65_536), bob: llamaCpp(1, 1024) })
  table.llms.alice?.answer(tells(llamaCpp(1, 65_536), answerNever))
  ask(t, table.chatUrl, LONG)
  await table.events.next('llm:request')
  const asked = ask(t, table.chatUrl, LONG)
  await table.events.next('llm:queued')
  table.llms.bob?.answer(tells(llamaCpp(1, 65_536)))
  t.match(await soon(asked.answer, 'the answer'), { status: 200, headers: { 'x-potluck-participant': 'bob' } })
  t.strictSame(attemptsOf(table), ['alice', 'bob'])
})

/** Servers that tell what no server tells. */
const HOSTILE: [string, Answerer | Told][] = [
  ['huge numbers', llamaCpp(1e12, 1e300)],
  ['negative numbers', llamaCpp(-3, -4096)],
  ['fractions', llamaCpp(1.5, 0.1)],
  ['texts for numbers', llamaCpp('many' as unknown as number, '4096' as unknown as number)],
  [
    'lists for objects',
    { 'GET /api/version': { version: '1' }, 'GET /api/ps': { models: 'none' }, 'POST /api/show': () => [] },
  ],
  ['nulls', { 'GET /api/v0/models': { data: [null, 1, 'x', [], { id: null, type: 7, loaded_context_length: {} }] } }],
  [
    'names of what every object has',
    {
      'GET /api/version': { version: '1' },
      'POST /api/show': () => ({ capabilities: ['__proto__', 'constructor', 7, null] }),
    },
  ],
  ['types that every object has', lmStudio([{ id: MODEL, type: 'constructor' }])],
  [
    'more than anybody reads',
    (request, response) => {
      if (request.method === 'POST') answerPlain('served')(request, response)
      else response.end(`{"version":"${'x'.repeat(3 * 1024 * 1024)}"}`)
    },
  ],
  [
    'no JSON',
    (request, response) => {
      if (request.method === 'POST') answerPlain('served')(request, response)
      else response.end('<html>')
    },
  ],
  [
    'nothing, and hangs up',
    (request, response) => {
      if (request.method === 'POST') answerPlain('served')(request, response)
      else response.destroy()
    },
  ],
]

for (const [what, told] of HOSTILE) {
  t.test(`who tells ${what} does no harm`, async (t) => {
    const table = await setLearnt(t, { alice: told })
    for (const body of [chat('Hello'), LONG]) t.equal((await send(t, table.chatUrl, body)).status, 200)
    t.equal((await fetch(`${table.url}/health`)).status, 200)
  })
}

t.test('who never tells is asked by one question at a time, and serves meanwhile', async (t) => {
  let open = 0
  let mostOpen = 0
  const cook: Answerer = (request, response) => {
    if (request.method === 'POST') return answerPlain('served')(request, response)
    open += 1
    mostOpen = Math.max(mostOpen, open)
    response.once('close', () => {
      open -= 1
    })
  }
  const table = await setTable(t, { alice: cook, bob: tells(llamaCpp(3, 4096)) }, LEARNING)
  const token = table.joined.alice?.token as string
  for (let change = 0; change < 20; change++) {
    await call('PATCH', `${table.base}/participants/alice`, { specs: { ram: change } }, bearer(token))
    t.equal((await send(t, table.chatUrl, chat('Hello', { model: 'alice' }))).status, 200)
  }
  t.equal(mostOpen, 1)
})

t.test('nothing is asked where that is switched off', async (t) => {
  const table = await setTable(t, { alice: tells(ollama({})) }, { hub: { learnIntervalMs: 0 } })
  t.equal((await send(t, table.chatUrl, chat('Hello'))).status, 200)
  t.strictSame(
    table.llms.alice?.requests.map(({ method, path }) => `${method} ${path}`),
    ['POST /v1/chat/completions'],
  )
})
