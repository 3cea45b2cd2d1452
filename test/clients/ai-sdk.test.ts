import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  embed,
  embedMany,
  generateText,
  isStepCount,
  jsonSchema,
  NoObjectGeneratedError,
  Output,
  streamText,
  tool,
} from 'ai'
import t, { type Test } from 'tap'
import { answerFrames, answerInTurn, answerJson, bodyOf, EVENTS } from '../support/client-answers.ts'
import {
  type ClientKitchen,
  failureOf,
  isLeft,
  LOCKED,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  PASSWORD,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import {
  answerChat,
  answerEmbeddings,
  answerText,
  chatOf,
  DISH_SCHEMA,
  FRIDGE,
  FRIDGE_TOOL,
  streamedCall,
  streamedChat,
  VECTORS,
} from '../support/openai-answers.ts'

function providerOf({ room }: Pick<ClientKitchen, 'room'>, apiKey = 'unused') {
  return createOpenAICompatible({
    name: 'potluck',
    baseURL: `${room}/v1`,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
}

async function openProvider(t: Test, answerer: Answerer) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, provider: providerOf(kitchen) }
}

const ASKED = { prompt: QUESTION, maxRetries: 0 }
const { name: TOOL, parameters, description } = FRIDGE_TOOL.function
type Shelf = { shelf: string; items: number }

function fridge(looked: Shelf[]) {
  const execute = async (args: Shelf) => {
    looked.push(args)
    return 'three carrots'
  }
  return { [TOOL]: tool({ description, inputSchema: jsonSchema<Shelf>(parameters as object), execute }) }
}

t.test('generateText: a tool is run, and the model goes on with what it found', async (t) => {
  const answers = [answerJson(chatOf({ tool_calls: [FRIDGE] })), answerJson(chatOf({ content: 'Soup' }))]
  const { provider, llm } = await openProvider(t, answerInTurn(...answers))
  const looked: Shelf[] = []
  const result = await generateText({
    ...ASKED,
    model: provider(MODEL),
    tools: fridge(looked),
    stopWhen: isStepCount(3),
  })
  t.equal(result.text, 'Soup')
  t.strictSame(looked, [{ shelf: 'top', items: 3 }])
  t.equal(llm.requests.length, 2)
  t.match(bodyOf(llm.requests[0]!), { model: REAL_MODEL, tools: [{ type: 'function', function: { name: TOOL } }] })
  const { messages } = bodyOf<{ messages: object[] }>(llm.requests[1]!)
  t.match(messages.at(-1), { role: 'tool', tool_call_id: FRIDGE.id, content: 'three carrots' })
})

t.test('streamText: a tool call that is streamed is run', async (t) => {
  const answers = [streamedCall(FRIDGE), streamedChat(['So', 'up'])].map((frames) => answerFrames(EVENTS, frames))
  const { provider, llm } = await openProvider(t, answerInTurn(...answers))
  const looked: Shelf[] = []
  const result = streamText({ ...ASKED, model: provider(MODEL), tools: fridge(looked), stopWhen: isStepCount(3) })
  t.equal(await result.text, 'Soup')
  t.strictSame(looked, [{ shelf: 'top', items: 3 }])
  t.equal(llm.requests.length, 2)
})

const DISH = { dish: 'Soup', minutes: 20 }
const output = Output.object({ schema: jsonSchema<typeof DISH>(DISH_SCHEMA as object), name: 'dish' })

t.test('generateText: an object by a schema', async (t) => {
  const { provider, llm } = await openProvider(t, answerChat([JSON.stringify(DISH)]))
  const result = await generateText({ ...ASKED, model: provider(MODEL), output })
  t.strictSame(result.output, DISH)
  const format = { type: 'json_schema', json_schema: { name: 'dish', schema: DISH_SCHEMA } }
  t.match(bodyOf(llm.requests[0]!), { model: REAL_MODEL, response_format: format })
})

t.test('streamText: an object by a schema grows', async (t) => {
  const { provider } = await openProvider(t, answerChat(['{"dish": "Soup"', ', "minutes": 20}']))
  const result = streamText({ ...ASKED, model: provider(MODEL), output })
  const { parts } = await readStream(result.partialOutputStream)
  t.strictSame(parts, [{ dish: 'Soup' }, DISH])
})

t.test("generateText: an answer that keeps to no schema is the client's to refuse", async (t) => {
  const { provider, llm } = await openProvider(t, answerChat(['no object']))
  const coming = generateText({ ...ASKED, model: provider(MODEL), output }).then(({ output }) => output)
  await failureOf(coming, NoObjectGeneratedError)
  t.equal(llm.requests.length, 1)
})

t.test('embed and embedMany make vectors, with their usage', async (t) => {
  const { provider, llm } = await openProvider(t, answerEmbeddings)
  const model = provider.embeddingModel(MODEL)
  const one = await embed({ model, value: 'rice', maxRetries: 0 })
  t.strictSame(one.embedding, VECTORS[0])
  t.equal(one.usage.tokens, 4)
  const many = await embedMany({ model, values: ['rice', 'noodles'], maxRetries: 0 })
  t.strictSame(many.embeddings, VECTORS)
  t.equal(llm.requests.length, 2)
  t.match(bodyOf(llm.requests[1]!), { model: REAL_MODEL, input: ['rice', 'noodles'] })
})

t.test('completionModel completes a text, plain and streamed', async (t) => {
  const { provider, llm } = await openProvider(t, answerText(['So', 'up']))
  const model = provider.completionModel(MODEL)
  t.equal((await generateText({ ...ASKED, model })).text, 'Soup')
  t.equal(await streamText({ ...ASKED, model }).text, 'Soup')
  t.strictSame(
    llm.requests.map(({ path }) => path),
    ['/v1/completions', '/v1/completions'],
  )
})

const calls = {
  generateText: (provider: ReturnType<typeof providerOf>, abortSignal?: AbortSignal) =>
    generateText({ ...ASKED, model: provider(MODEL), ...(abortSignal === undefined ? {} : { abortSignal }) }),
  embed: (provider: ReturnType<typeof providerOf>, abortSignal?: AbortSignal) => {
    const about = { model: provider.embeddingModel(MODEL), value: QUESTION, maxRetries: 0 }
    return embed({ ...about, ...(abortSignal === undefined ? {} : { abortSignal }) })
  },
}

for (const [name, ask] of Object.entries(calls)) {
  t.test(`${name}: aborted before the first byte, it ends at the participant`, async (t) => {
    const { next, ...kitchen } = await openKitchenByHand(t)
    const abort = new AbortController()
    const failing = failureOf(ask(providerOf(kitchen), abort.signal), Error)
    const order = await next()
    abort.abort()
    t.equal((await failing).name, 'AbortError')
    await isLeft(t, order)
  })

  t.test(`${name}: a locked room is 401 without its password, and open with it`, async (t) => {
    const answerer: Answerer = (request, response) =>
      (request.path.endsWith('embeddings') ? answerEmbeddings : answerChat(['Soup']))(request, response)
    const kitchen = await openClientKitchen(t, answerer, LOCKED)
    const failure = await failureOf(ask(providerOf(kitchen)), APICallError)
    t.match(failure, { statusCode: 401, message: 'Invalid password', isRetryable: false })
    t.equal(kitchen.llm.requests.length, 0)
    await ask(providerOf(kitchen, PASSWORD))
    t.equal(kitchen.llm.requests.length, 1)
  })
}
