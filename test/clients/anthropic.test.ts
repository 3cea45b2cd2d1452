import Anthropic from '@anthropic-ai/sdk'
import t, { type Test } from 'tap'
import {
  answerMessage,
  anthropicError,
  FRIDGE_USE,
  INPUT_TOKENS,
  MESSAGE_USAGE,
  messageOf,
  OUTPUT_TOKENS,
  streamedMessage,
  streamedUse,
  textBlock,
  wordFrames,
} from '../support/anthropic-answers.ts'
import {
  answerCut,
  answerFrames,
  answerInTurn,
  answerJson,
  beginStream,
  bodyOf,
  EVENTS,
  eventFrame,
} from '../support/client-answers.ts'
import {
  type ClientKitchen,
  failureOf,
  isLeft,
  MESSAGES,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import { FRIDGE_TOOL } from '../support/openai-answers.ts'
import { readEvents } from '../support/sse.ts'

function clientOf({ room }: Pick<ClientKitchen, 'room'>): Anthropic {
  return new Anthropic({ baseURL: room, apiKey: 'unused', authToken: null, maxRetries: 0 })
}

async function openClient(t: Test, answerer: Answerer) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, anthropic: clientOf(kitchen) }
}

async function openByHand(t: Test) {
  const kitchen = await openKitchenByHand(t)
  return { ...kitchen, anthropic: clientOf(kitchen) }
}

const ASKED = { model: MODEL, max_tokens: 100, messages: MESSAGES }
const SENT = { ...ASKED, model: REAL_MODEL }

t.test('messages.create answers, with its usage', async (t) => {
  const { anthropic, llm } = await openClient(t, answerMessage(['So', 'up']))
  const request = { ...ASKED, system: 'Be short', stop_sequences: ['END'] }
  const { content, stop_reason, usage } = await anthropic.messages.create(request)
  t.strictSame(content, [textBlock('Soup')])
  t.equal(stop_reason, 'end_turn')
  t.strictSame(usage, MESSAGE_USAGE)
  const [seen] = llm.requests
  t.equal(seen!.path, '/v1/messages')
  t.match(seen!.headers['anthropic-version'], /^20\d\d-\d\d-\d\d$/)
  t.strictSame(bodyOf(seen!), { ...request, model: REAL_MODEL })
})

t.test('the request id that the client shows is the one of the participant', async (t) => {
  const { anthropic } = await openClient(t, (request, response) => {
    response.setHeader('request-id', 'req_7')
    return answerMessage(['Soup'])(request, response)
  })
  t.equal((await anthropic.messages.create(ASKED))._request_id, 'req_7')
})

for (const stream of [false, true]) {
  t.test(`the room is told the tokens, those of a cache among them (stream: ${stream})`, async (t) => {
    const { anthropic, eventsUrl } = await openClient(t, answerMessage(['So', 'up']))
    const events = await readEvents(t, eventsUrl)
    const answer = await anthropic.messages.create({ ...ASKED, stream })
    if (Symbol.asyncIterator in answer) await readStream(answer)
    const { data } = await events.next('llm:complete')
    const metrics = { inputTokens: INPUT_TOKENS, outputTokens: OUTPUT_TOKENS, estimated: false }
    t.match(data, { protocol: 'anthropic-messages', metrics })
  })
}

t.test('messages.create streams each event as it was sent', async (t) => {
  const { anthropic, llm } = await openClient(t, answerFrames(EVENTS, streamedMessage(['So', 'up', ' ☕'])))
  const { parts, error } = await readStream(await anthropic.messages.create({ ...ASKED, stream: true }))
  t.equal(error, undefined)
  t.strictSame(
    parts.flatMap((event) =>
      event.type === 'content_block_delta' && event.delta.type === 'text_delta' ? [event.delta.text] : [],
    ),
    ['So', 'up', ' ☕'],
  )
  t.equal(parts[0]?.type, 'message_start')
  t.equal(parts.at(-1)?.type, 'message_stop')
  t.strictSame(bodyOf(llm.requests[0]!), { ...SENT, stream: true })
})

t.test('messages.stream puts the answer together', async (t) => {
  const { anthropic } = await openClient(t, answerFrames(EVENTS, streamedMessage(['So', 'up'])))
  const stream = anthropic.messages.stream(ASKED)
  const said: string[] = []
  stream.on('text', (text) => void said.push(text))
  const { content, usage, stop_reason } = await stream.finalMessage()
  t.match(content, [{ type: 'text', text: 'Soup' }])
  t.strictSame(said, ['So', 'up'])
  t.equal(usage.output_tokens, OUTPUT_TOKENS)
  t.equal(stop_reason, 'end_turn')
})

const TOOL: Anthropic.Tool = {
  name: FRIDGE_USE.name,
  description: 'What is in the fridge',
  input_schema: FRIDGE_TOOL.function.parameters as Anthropic.Tool.InputSchema,
}

t.test('a tool is used, and the model goes on with what it found', async (t) => {
  const answers = [answerJson(messageOf([FRIDGE_USE])), answerJson(messageOf([textBlock('Soup')]))]
  const { anthropic, llm } = await openClient(t, answerInTurn(...answers))
  const request = { ...ASKED, tools: [TOOL], tool_choice: { type: 'auto' as const } }
  const { content, stop_reason } = await anthropic.messages.create(request)
  t.equal(stop_reason, 'tool_use')
  t.strictSame(content, [FRIDGE_USE])
  const result = { type: 'tool_result' as const, tool_use_id: FRIDGE_USE.id, content: 'three carrots' }
  const messages: Anthropic.MessageParam[] = [
    ...MESSAGES,
    { role: 'assistant', content },
    { role: 'user', content: [result] },
  ]
  const { content: said } = await anthropic.messages.create({ ...request, messages })
  t.strictSame(said, [textBlock('Soup')])
  t.strictSame(llm.requests.map(bodyOf), [
    { ...request, model: REAL_MODEL },
    { ...request, messages, model: REAL_MODEL },
  ])
})

t.test('a tool use that is streamed is put together by the client', async (t) => {
  const { anthropic } = await openClient(t, answerFrames(EVENTS, streamedUse()))
  const stream = anthropic.messages.stream({ ...ASKED, tools: [TOOL] })
  const pieces: string[] = []
  stream.on('inputJson', (piece) => void pieces.push(piece))
  const { content, stop_reason } = await stream.finalMessage()
  t.match(content, [FRIDGE_USE])
  t.equal(stop_reason, 'tool_use')
  t.strictSame(JSON.parse(pieces.join('')), FRIDGE_USE.input)
})

t.test('messages.countTokens counts, and the room is told nothing of it', async (t) => {
  const { anthropic, llm, eventsUrl } = await openClient(t, answerJson({ input_tokens: 2095 }))
  const events = await readEvents(t, eventsUrl)
  const { max_tokens, ...request } = ASKED
  t.same(await anthropic.messages.countTokens({ ...request, tools: [TOOL] }), { input_tokens: 2095 })
  t.equal(llm.requests[0]!.path, '/v1/messages/count_tokens')
  t.strictSame(bodyOf(llm.requests[0]!), { ...request, tools: [TOOL], model: REAL_MODEL })
  llm.answer(answerMessage(['Soup']))
  await anthropic.messages.create(ASKED)
  await events.next('llm:complete')
  t.strictSame(
    events.frames.flatMap(({ event }) => (event?.startsWith('llm:') === true ? [event] : [])),
    ['llm:request', 'llm:complete'],
    'of the second request alone',
  )
})

t.test('beta.messages: its headers reach the participant, and the query that older clients send', async (t) => {
  const { anthropic, llm } = await openClient(t, answerMessage(['So', 'up']))
  const betas = ['interleaved-thinking-2025-05-14', 'context-management-2025-06-27']
  const older = { query: { beta: 'true' } }
  const { content } = await anthropic.beta.messages.create({ ...ASKED, betas }, older)
  t.match(content, [{ type: 'text', text: 'Soup' }])
  const streamed = await anthropic.beta.messages.stream({ ...ASKED, betas }, older).finalMessage()
  t.match(streamed.content, [{ type: 'text', text: 'Soup' }])
  llm.answer(answerJson({ input_tokens: 7, context_management: null }))
  const { max_tokens, ...request } = ASKED
  t.equal((await anthropic.beta.messages.countTokens({ ...request, betas }, older)).input_tokens, 7)
  t.strictSame(
    llm.requests.map(({ path }) => path),
    ['/v1/messages?beta=true', '/v1/messages?beta=true', '/v1/messages/count_tokens?beta=true'],
  )
  for (const { headers } of llm.requests) {
    for (const beta of betas) t.match(headers['anthropic-beta'], beta)
  }
  t.strictSame(bodyOf(llm.requests[0]!), SENT)
})

t.test('an unknown model is a NotFoundError that says what is wrong, and nobody is asked', async (t) => {
  const { anthropic, llm } = await openClient(t, answerMessage(['Soup']))
  const { max_tokens, ...request } = ASKED
  for (const call of [
    () => anthropic.messages.create({ ...ASKED, model: 'claude-9' }),
    () => anthropic.messages.countTokens({ ...request, model: 'claude-9' }),
  ]) {
    const failure = await failureOf(call(), Anthropic.NotFoundError)
    t.match(failure, { status: 404, type: 'not_found_error', message: /No available participant/ })
  }
  t.equal(llm.requests.length, 0)
})

t.test('an API that is not served is a NotFoundError in its own shape', async (t) => {
  const { anthropic, llm } = await openClient(t, answerMessage(['Soup']))
  const failure = await failureOf(anthropic.messages.batches.list(), Anthropic.NotFoundError)
  t.match(failure, { type: 'not_found_error', message: /\/v1\/messages\/batches/ })
  t.equal(llm.requests.length, 0)
})

t.test('a participant that does not answer is an InternalServerError that says who and why', async (t) => {
  const { anthropic, llm } = await openClient(t, (_request, response) => void response.destroy())
  const failure = await failureOf(anthropic.messages.create(ASKED), Anthropic.InternalServerError)
  t.match(failure, { status: 502, type: 'api_error', message: /Alice \(alice\)/ })
  t.equal(llm.requests.length, 1)
})

for (const stream of [false, true]) {
  t.test(`an error of the participant comes in its words (stream: ${stream})`, async (t) => {
    const refusal = anthropicError('invalid_request_error', 'max_tokens: too many for one bowl')
    const { anthropic, llm } = await openClient(t, answerJson(refusal, 400))
    const failure = await failureOf(anthropic.messages.create({ ...ASKED, stream }), Anthropic.BadRequestError)
    t.match(failure, { type: 'invalid_request_error', message: /too many for one bowl/ })
    t.equal(llm.requests.length, 1)
  })

  t.test(`aborted before the first byte, it ends at the participant (stream: ${stream})`, async (t) => {
    const { anthropic, next } = await openByHand(t)
    const abort = new AbortController()
    const coming = anthropic.messages.create({ ...ASKED, stream }, { signal: abort.signal })
    const failing = failureOf(coming, Anthropic.APIUserAbortError)
    const order = await next()
    abort.abort()
    await failing
    await isLeft(t, order)
  })
}

t.test('a stream that breaks raises, is not ended, and is asked for once', async (t) => {
  const { anthropic, llm } = await openClient(t, answerCut(EVENTS, wordFrames(['So', 'up'])))
  const stream = await anthropic.withOptions({ maxRetries: 2 }).messages.create({ ...ASKED, stream: true })
  const { parts, error } = await readStream(stream)
  t.equal(parts.at(-1)?.type, 'content_block_delta')
  t.type(error, Anthropic.APIError)
  t.match(error as Error, { type: 'api_error', message: /Alice \(alice\) broke off/ })
  t.equal(llm.requests.length, 1)
})

t.test('messages.stream: finalMessage of a stream that breaks fails', async (t) => {
  const { anthropic, llm } = await openClient(t, answerCut(EVENTS, wordFrames(['So', 'up'])))
  const failure = await failureOf(anthropic.messages.stream(ASKED).finalMessage(), Anthropic.APIError)
  t.match(failure.message, 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test('the error event of a participant comes in its words', async (t) => {
  const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'too many cooks' } }
  const frames = [...wordFrames(['So']), eventFrame(overloaded)]
  const { anthropic, llm } = await openClient(t, answerFrames(EVENTS, frames))
  const { parts, error } = await readStream(await anthropic.messages.create({ ...ASKED, stream: true }))
  t.equal(parts.at(-1)?.type, 'content_block_delta')
  t.match(error as Error, { type: 'overloaded_error', message: /too many cooks/ })
  t.equal(llm.requests.length, 1)
})

t.test('a stream that the client leaves ends at the participant', async (t) => {
  const { anthropic, next } = await openByHand(t)
  const reading = (async () => {
    for await (const _ of await anthropic.messages.create({ ...ASKED, stream: true })) break
  })()
  const order = await next()
  await beginStream(order.response, EVENTS, ...wordFrames(['So']))
  await reading
  await isLeft(t, order)
})

t.test('messages.stream: abort() in the midst ends it at the participant', async (t) => {
  const { anthropic, next } = await openByHand(t)
  const stream = anthropic.messages.stream(ASKED)
  const said = new Promise((resolve) => stream.once('text', resolve))
  const order = await next()
  await beginStream(order.response, EVENTS, ...wordFrames(['So']))
  await said
  stream.abort()
  await failureOf(stream.done(), Anthropic.APIUserAbortError)
  await isLeft(t, order)
})
