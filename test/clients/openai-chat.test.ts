import OpenAI, { APIError } from 'openai'
import t, { type Test } from 'tap'
import {
  answerCut,
  answerFrames,
  answerInTurn,
  answerJson,
  beginStream,
  bodyOf,
  EVENTS,
} from '../support/client-answers.ts'
import {
  failureOf,
  isLeft,
  MESSAGES,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import {
  answerChat,
  answerText,
  chatOf,
  DISH_SCHEMA,
  FRIDGE,
  FRIDGE_TOOL,
  openaiError,
  streamedCall,
  streamedChat,
  USAGE,
  wordChunks,
} from '../support/openai-answers.ts'

function clientOf({ room }: { room: string }): OpenAI {
  return new OpenAI({ baseURL: `${room}/v1`, apiKey: 'unused', maxRetries: 0 })
}

async function openClient(t: Test, answerer: Answerer) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, openai: clientOf(kitchen) }
}

async function openByHand(t: Test) {
  const kitchen = await openKitchenByHand(t)
  return { ...kitchen, openai: clientOf(kitchen) }
}

const ASKED = { model: MODEL, messages: MESSAGES }

t.test('a tool and its call come through as they are', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(chatOf({ tool_calls: [FRIDGE] })))
  const request = { ...ASKED, tools: [FRIDGE_TOOL], tool_choice: 'auto' as const, parallel_tool_calls: false }
  const { choices } = await openai.chat.completions.create(request)
  t.strictSame(choices[0]?.message.tool_calls, [FRIDGE])
  t.equal(choices[0]?.finish_reason, 'tool_calls')
  t.strictSame(bodyOf(llm.requests[0]!), { ...request, model: REAL_MODEL })
})

t.test('a tool call that is streamed is put together by the client', async (t) => {
  const { openai } = await openClient(t, answerFrames(EVENTS, streamedCall(FRIDGE)))
  const stream = openai.chat.completions.stream({ ...ASKED, tools: [FRIDGE_TOOL] })
  const pieces: string[] = []
  stream.on('tool_calls.function.arguments.delta', ({ arguments_delta }) => void pieces.push(arguments_delta))
  const { choices } = await stream.finalChatCompletion()
  t.match(choices[0]?.message.tool_calls, [FRIDGE])
  t.ok(pieces.length > 1, 'in several pieces')
  t.equal(pieces.join(''), FRIDGE.function.arguments)
})

for (const stream of [false, true]) {
  t.test(`a tool is run, and the model goes on with what it found (stream: ${stream})`, async (t) => {
    const answers = stream
      ? [answerFrames(EVENTS, streamedCall(FRIDGE)), answerFrames(EVENTS, streamedChat(['So', 'up']))]
      : [answerJson(chatOf({ tool_calls: [FRIDGE] })), answerJson(chatOf({ content: 'Soup' }))]
    const { openai, llm } = await openClient(t, answerInTurn(...answers))
    const looked: unknown[] = []
    const look = (args: object) => {
      looked.push(args)
      return 'three carrots'
    }
    const run = { ...FRIDGE_TOOL.function, function: look, parse: JSON.parse }
    const tools = [{ type: 'function' as const, function: run }]
    const runner = openai.chat.completions.runTools({ ...ASKED, stream, tools } as Parameters<
      typeof openai.chat.completions.runTools
    >[0])
    t.equal(await runner.finalContent(), 'Soup')
    t.strictSame(looked, [{ shelf: 'top', items: 3 }])
    t.equal(llm.requests.length, 2)
    const { messages } = bodyOf<{ messages: object[] }>(llm.requests[1]!)
    t.match(messages.at(-1), { role: 'tool', tool_call_id: FRIDGE.id, content: 'three carrots' })
    t.match(messages.at(-2), { role: 'assistant', tool_calls: [FRIDGE] })
  })
}

const DISH = { dish: 'Soup "à la carte"', minutes: 20 }
const FORMAT = { type: 'json_schema' as const, json_schema: { name: 'dish', strict: true, schema: DISH_SCHEMA } }

t.test('chat.completions.parse: the schema goes to the participant, its answer is parsed', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(chatOf({ content: JSON.stringify(DISH) })))
  const { choices } = await openai.chat.completions.parse({ ...ASKED, response_format: FORMAT })
  t.strictSame(choices[0]?.message.parsed, DISH)
  t.strictSame(bodyOf(llm.requests[0]!), { ...ASKED, model: REAL_MODEL, response_format: FORMAT })
})

t.test('chat.completions.stream: a structured answer is parsed when it is whole', async (t) => {
  const words = JSON.stringify(DISH).split(/(?<= )/)
  const { openai } = await openClient(t, answerFrames(EVENTS, streamedChat(words)))
  const completion = await openai.chat.completions.stream({ ...ASKED, response_format: FORMAT }).finalChatCompletion()
  t.strictSame(completion.choices[0]?.message.parsed, DISH)
})

t.test('an image in a message reaches the participant byte for byte', async (t) => {
  const { openai, llm } = await openClient(t, answerChat(['Soup']))
  const url = `data:image/png;base64,${Buffer.alloc(200_000, 'soup').toString('base64')}`
  const content = [
    { type: 'text' as const, text: QUESTION },
    { type: 'image_url' as const, image_url: { url } },
  ]
  const messages = [{ role: 'user' as const, content }]
  await openai.chat.completions.create({ model: MODEL, messages })
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, messages })
})

t.test('completions.create completes a text', async (t) => {
  const { openai, llm } = await openClient(t, answerText(['So', 'up']))
  const { choices, usage } = await openai.completions.create({ model: MODEL, prompt: QUESTION })
  t.equal(choices[0]?.text, 'Soup')
  t.same(usage, USAGE)
  t.equal(llm.requests[0]!.path, '/v1/completions')
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, prompt: QUESTION })
})

t.test('completions.create streams', async (t) => {
  const { openai } = await openClient(t, answerText(['So', 'up', ' ☕']))
  const stream = await openai.completions.create({ model: MODEL, prompt: QUESTION, stream: true })
  const { parts, error } = await readStream(stream)
  t.equal(error, undefined)
  t.strictSame(
    parts.map(({ choices }) => choices[0]?.text),
    ['So', 'up', ' ☕', ''],
  )
  t.same(parts.at(-1)?.usage, USAGE)
})

/** Each of the client's ways to ask for a stream. */
const STREAMS: Record<string, (openai: OpenAI) => PromiseLike<AsyncIterable<object>>> = {
  'chat.completions.create': (openai) => openai.chat.completions.create({ ...ASKED, stream: true }),
  'chat.completions.stream': async (openai) => openai.chat.completions.stream(ASKED),
  'completions.create': (openai) => openai.completions.create({ model: MODEL, prompt: QUESTION, stream: true }),
}

for (const [name, ask] of Object.entries(STREAMS)) {
  t.test(`${name}: a stream that breaks raises, is not ended, and is asked for once`, async (t) => {
    const { openai, llm } = await openClient(t, answerCut(EVENTS, wordChunks(['So', 'up'])))
    const { parts, error } = await readStream(await ask(openai.withOptions({ maxRetries: 2 })))
    t.match(JSON.stringify(parts), /"So".*"up"/)
    t.notMatch(JSON.stringify(parts), /"finish_reason":"/)
    t.type(error, APIError)
    t.match((error as Error).message, 'Alice (alice) broke off')
    t.equal(llm.requests.length, 1)
  })

  t.test(`${name}: a stream that the client leaves ends at the participant`, async (t) => {
    const { openai, next } = await openByHand(t)
    const reading = (async () => {
      for await (const _ of await ask(openai)) break
    })()
    const order = await next()
    await beginStream(order.response, EVENTS, ...wordChunks(['So']))
    await reading
    await isLeft(t, order)
  })
}

t.test('chat.completions.stream: finalChatCompletion of a stream that breaks fails', async (t) => {
  const { openai } = await openClient(t, answerCut(EVENTS, wordChunks(['So', 'up'])))
  const failure = await failureOf(openai.chat.completions.stream(ASKED).finalChatCompletion(), APIError)
  t.match(failure.message, 'Alice (alice) broke off')
})

t.test('chat.completions.stream: abort() in the midst ends it at the participant', async (t) => {
  const { openai, next } = await openByHand(t)
  const stream = openai.chat.completions.stream(ASKED)
  const said = new Promise((resolve) => stream.once('content', resolve))
  const order = await next()
  await beginStream(order.response, EVENTS, ...wordChunks(['So']))
  await said
  stream.abort()
  await failureOf(stream.done(), OpenAI.APIUserAbortError)
  await isLeft(t, order)
})

for (const stream of [false, true]) {
  t.test(
    `completions.create: aborted before the first byte, it ends at the participant (stream: ${stream})`,
    async (t) => {
      const { openai, next } = await openByHand(t)
      const abort = new AbortController()
      const coming = openai.completions.create({ model: MODEL, prompt: QUESTION, stream }, { signal: abort.signal })
      const failing = failureOf(coming, OpenAI.APIUserAbortError)
      const order = await next()
      abort.abort()
      await failing
      await isLeft(t, order)
    },
  )

  t.test(`completions.create: an error of the participant comes in its words (stream: ${stream})`, async (t) => {
    const refusal = openaiError('the prompt is too long', 'exceed_context_size_error')
    const { openai, llm } = await openClient(t, answerJson(refusal, 400))
    const coming = openai.completions.create({ model: MODEL, prompt: QUESTION, stream })
    const failure = await failureOf(coming, OpenAI.BadRequestError)
    t.match(failure, { status: 400, type: 'exceed_context_size_error', message: /the prompt is too long/ })
    t.equal(llm.requests.length, 1)
  })

  t.test(
    `completions.create: an unknown model is a NotFoundError, and nobody is asked (stream: ${stream})`,
    async (t) => {
      const { openai, llm } = await openClient(t, answerText(['Soup']))
      const coming = openai.completions.create({ model: 'gpt-9', prompt: QUESTION, stream })
      t.match(await failureOf(coming, OpenAI.NotFoundError), { code: 'model_not_found', param: 'model' })
      t.equal(llm.requests.length, 0)
    },
  )
}
