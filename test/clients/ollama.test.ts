import { Ollama } from 'ollama'
import t, { type Test } from 'tap'
import { answerCut, answerJson, beginStream, bodyOf, LINES } from '../support/client-answers.ts'
import {
  type ClientKitchen,
  failureOf,
  isLeft,
  LOCKED,
  leaveAt,
  MESSAGES,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  PASSWORD,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import type { KitchenOptions } from '../support/kitchen.ts'
import {
  answerSaid,
  COUNTS,
  EMBED_ANSWER,
  FRIDGE_TOOL_CALL,
  SHOWN,
  TOOL_CALL_ANSWER,
  wordLines,
} from '../support/ollama-answers.ts'
import { DISH_SCHEMA, FRIDGE_TOOL } from '../support/openai-answers.ts'

async function openClient(t: Test, answerer: Answerer, options: KitchenOptions = {}) {
  const kitchen = await openClientKitchen(t, answerer, options)
  return { ...kitchen, ollama: new Ollama({ host: kitchen.room }) }
}

/** The client can abort a request only once its answer has begun; before that, a `fetch` of one's own can. */
function abortable({ room }: Pick<ClientKitchen, 'room'>): { ollama: Ollama; abort: AbortController } {
  const abort = new AbortController()
  const fetching: typeof fetch = (url, init) => fetch(url, { ...init, signal: abort.signal })
  return { ollama: new Ollama({ host: room, fetch: fetching }), abort }
}

/** Errors have no class that the client exports; a status is what they have. */
interface Refusal extends Error {
  status_code: number
}

async function refusalOf(call: PromiseLike<unknown>): Promise<Refusal> {
  const failure = (await failureOf(call, Error)) as Refusal
  if (failure.name !== 'ResponseError') throw new Error('it should have been refused', { cause: failure })
  return failure
}

const CHAT = { model: MODEL, messages: MESSAGES }

t.test('chat answers, with its counts', async (t) => {
  const { ollama, llm } = await openClient(t, answerSaid('chat', ['So', 'up']))
  const { message, done, eval_count, prompt_eval_count } = await ollama.chat({ ...CHAT, options: { seed: 7 } })
  t.strictSame(message, { role: 'assistant', content: 'Soup' })
  t.match({ done, eval_count, prompt_eval_count }, { done: true, eval_count: COUNTS.eval_count, prompt_eval_count: 26 })
  t.equal(llm.requests[0]!.path, '/api/chat')
  t.strictSame(bodyOf(llm.requests[0]!), { ...CHAT, model: REAL_MODEL, options: { seed: 7 }, stream: false })
})

t.test('chat streams', async (t) => {
  const { ollama } = await openClient(t, answerSaid('chat', ['So', 'up', ' ☕']))
  const { parts, error } = await readStream(await ollama.chat({ ...CHAT, stream: true }))
  t.equal(error, undefined)
  t.strictSame(
    parts.map(({ message }) => message.content),
    ['So', 'up', ' ☕', ''],
  )
  t.match(parts.at(-1), { done: true, done_reason: 'stop', ...COUNTS })
})

t.test('chat: a tool and its call come through as they are', async (t) => {
  const { ollama, llm } = await openClient(t, answerJson(TOOL_CALL_ANSWER))
  const { message } = await ollama.chat({ ...CHAT, tools: [FRIDGE_TOOL] })
  t.strictSame(message.tool_calls, [FRIDGE_TOOL_CALL])
  t.strictSame(bodyOf(llm.requests[0]!), { ...CHAT, model: REAL_MODEL, tools: [FRIDGE_TOOL], stream: false })
})

t.test('chat: a schema and a picture reach the participant as they are', async (t) => {
  const { ollama, llm } = await openClient(t, answerSaid('chat', ['{"dish":"Soup","minutes":20}']))
  const picture = Buffer.alloc(100_000, 'soup')
  const messages = [{ role: 'user', content: QUESTION, images: [picture] }]
  await ollama.chat({ model: MODEL, messages, format: DISH_SCHEMA })
  const sent = [{ role: 'user', content: QUESTION, images: [picture.toString('base64')] }]
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, messages: sent, format: DISH_SCHEMA, stream: false })
})

t.test('generate answers and streams', async (t) => {
  const { ollama, llm } = await openClient(t, answerSaid('generate', ['So', 'up']))
  const request = { model: MODEL, prompt: QUESTION }
  t.match(await ollama.generate({ ...request }), { response: 'Soup', done: true, eval_count: COUNTS.eval_count })
  const { parts, error } = await readStream(await ollama.generate({ ...request, stream: true }))
  t.equal(error, undefined)
  t.strictSame(
    parts.map(({ response }) => response),
    ['So', 'up', ''],
  )
  t.strictSame(llm.requests.map(bodyOf), [
    { ...request, model: REAL_MODEL, stream: false },
    { ...request, model: REAL_MODEL, stream: true },
  ])
})

t.test('embed makes vectors', async (t) => {
  const { ollama, llm } = await openClient(t, answerJson(EMBED_ANSWER))
  const request = { model: MODEL, input: ['rice', 'noodles'] }
  t.strictSame(await ollama.embed({ ...request }), EMBED_ANSWER)
  t.equal(llm.requests[0]!.path, '/api/embed')
  t.strictSame(bodyOf(llm.requests[0]!), { ...request, model: REAL_MODEL })
})

t.test('embeddings, as older programs ask for them', async (t) => {
  const { ollama, llm } = await openClient(t, answerJson({ embedding: [0.5, -1] }))
  t.strictSame(await ollama.embeddings({ model: MODEL, prompt: 'rice' }), { embedding: [0.5, -1] })
  t.equal(llm.requests[0]!.path, '/api/embeddings')
})

t.test('show tells of a model, as its participant tells it', async (t) => {
  const { ollama, llm } = await openClient(t, answerJson(SHOWN))
  t.same(await ollama.show({ model: MODEL }), SHOWN)
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL })
  t.match((await refusalOf(ollama.show({ model: 'gpt-9' }))).status_code, 404)
  t.equal(llm.requests.length, 1)
})

const STREAMS = {
  chat: (ollama: Ollama) => ollama.chat({ ...CHAT, stream: true }),
  generate: (ollama: Ollama) => ollama.generate({ model: MODEL, prompt: QUESTION, stream: true }),
} as const

const PLAIN = {
  chat: (ollama: Ollama) => ollama.chat(CHAT),
  generate: (ollama: Ollama) => ollama.generate({ model: MODEL, prompt: QUESTION }),
  embed: (ollama: Ollama) => ollama.embed({ model: MODEL, input: QUESTION }),
}

for (const api of ['chat', 'generate'] as const) {
  t.test(`${api}: a stream that breaks raises, is not ended, and is asked for once`, async (t) => {
    const { ollama, llm } = await openClient(t, answerCut(LINES, wordLines(api, ['So', 'up'])))
    const stream: AsyncIterable<{ done: boolean }> = await STREAMS[api](ollama)
    const { parts, error } = await readStream(stream)
    t.strictSame(
      parts.map(({ done }) => done),
      [false, false],
    )
    t.match((error as Error).message, 'Alice (alice) broke off')
    t.equal(llm.requests.length, 1)
  })

  t.test(`${api}: a stream that breaks within a line raises all the same`, async (t) => {
    const [first = '', second = ''] = wordLines(api, ['So', 'up'])
    const { ollama } = await openClient(t, answerCut(LINES, [first, second.slice(0, 20)]))
    const stream: AsyncIterable<{ done: boolean }> = await STREAMS[api](ollama)
    const { parts, error } = await readStream(stream)
    t.equal(parts.length, 1)
    t.match((error as Error).message, 'Alice (alice) broke off')
  })

  t.test(`${api}: abort() in the midst of a stream ends it at the participant`, async (t) => {
    const { next, room } = await openKitchenByHand(t)
    const ollama = new Ollama({ host: room })
    const coming = STREAMS[api](ollama)
    const order = await next()
    await beginStream(order.response, LINES, ...wordLines(api, ['So']))
    const stream: AsyncIterable<{ done: boolean }> = await coming
    await leaveAt(stream)
    ollama.abort()
    await isLeft(t, order)
  })

  t.test(`${api}: a stream that is aborted before its first byte ends at the participant`, async (t) => {
    const { next, room } = await openKitchenByHand(t)
    const { ollama, abort } = abortable({ room })
    const failing = failureOf(STREAMS[api](ollama), Error)
    const order = await next()
    abort.abort()
    t.equal((await failing).name, 'AbortError')
    await isLeft(t, order)
  })
}

for (const [api, ask] of Object.entries(PLAIN)) {
  t.test(`${api}: a request that is aborted ends at the participant`, async (t) => {
    const { next, room } = await openKitchenByHand(t)
    const { ollama, abort } = abortable({ room })
    const failing = failureOf(ask(ollama), Error)
    const order = await next()
    abort.abort()
    t.equal((await failing).name, 'AbortError')
    await isLeft(t, order)
  })

  t.test(`${api}: an error of the participant comes in its words`, async (t) => {
    const { ollama, llm } = await openClient(t, answerJson({ error: 'model requires more system memory' }, 500))
    const refusal = await refusalOf(ask(ollama))
    t.match(refusal, { status_code: 500, message: 'model requires more system memory' })
    t.equal(llm.requests.length, 1)
  })

  t.test(`${api}: a participant that cannot be reached is told by its name`, async (t) => {
    const { room, llm } = await openClientKitchen(t, (_request, response) => void response.destroy())
    const refusal = await refusalOf(ask(new Ollama({ host: room })))
    t.match(refusal, { status_code: 502, message: 'Alice (alice)' })
    t.equal(llm.requests.length, 1)
  })
}

t.test('an unknown model is 404 and says so, and nobody is asked', async (t) => {
  const { ollama, llm } = await openClient(t, answerSaid('chat', ['Soup']))
  const refusal = await refusalOf(ollama.chat({ ...CHAT, model: 'gpt-9' }))
  t.match(refusal, { status_code: 404, message: 'No available participant for the requested model' })
  t.equal(llm.requests.length, 0)
})

t.test('an error line in a stream comes in the words of the participant', async (t) => {
  const lines = [...wordLines('chat', ['So']), '{"error":"the cook fell asleep"}\n']
  const { ollama } = await openClient(t, answerCut(LINES, lines))
  const { parts, error } = await readStream(await ollama.chat({ ...CHAT, stream: true }))
  t.equal(parts.length, 1)
  t.equal((error as Error).message, 'the cook fell asleep')
})

t.test('in a locked room the password goes into a header', async (t) => {
  const { ollama, room, llm } = await openClient(t, answerSaid('chat', ['Soup']), LOCKED)
  for (const ask of [() => ollama.chat(CHAT), () => ollama.list(), () => ollama.version()]) {
    t.match(await refusalOf(ask()), { status_code: 401, message: /password/ })
  }
  t.equal(llm.requests.length, 0)
  const open = new Ollama({ host: room, headers: { Authorization: `Bearer ${PASSWORD}` } })
  t.equal((await open.chat(CHAT)).message.content, 'Soup')
  t.notOk(JSON.stringify(llm.requests[0]!.headers).includes(PASSWORD), 'the password stays in the hub')
})

t.test('a path that is not served is refused in words that the client shows', async (t) => {
  const { ollama, llm } = await openClient(t, answerJson({}))
  const coming = ollama.systemone({ model: MODEL, state: QUESTION, questions: {} })
  t.equal((await failureOf(coming, Error)).name, 'ResponseError')
  t.equal(llm.requests.length, 0)
})
