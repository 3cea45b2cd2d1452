import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, streamText } from 'ai'
import t, { type Test } from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { within } from '../support/chat.ts'
import {
  type Answerer,
  answerBrokenStream,
  answerPlain,
  answerStream,
  chunkOf,
  startStream,
} from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'

const prompt = 'What is for dinner?'

async function openProvider(t: Test, answerer?: Answerer) {
  const kitchen = await openKitchen(t, answerer)
  const baseURL = `${kitchen.url}/rooms/${kitchen.code}/v1`
  return { ...kitchen, room: createOpenAICompatible({ name: 'potluck', baseURL, includeUsage: true }) }
}

t.test('generateText answers, with its usage', async (t) => {
  const { room } = await openProvider(t, answerPlain('Soup'))
  const { text, usage, finishReason } = await generateText({ model: room('*'), prompt, maxRetries: 0 })
  t.equal(text, 'Soup')
  t.equal(usage.totalTokens, 10)
  t.equal(finishReason, 'stop')
})

t.test('streamText streams, with its usage', async (t) => {
  const { room } = await openProvider(t, answerStream(['So', 'up', ' ☕']))
  const result = streamText({ model: room('llama3.2:3b'), prompt, maxRetries: 0 })
  const pieces: string[] = []
  for await (const piece of result.textStream) pieces.push(piece)
  t.strictSame(pieces, ['So', 'up', ' ☕'])
  t.equal((await result.usage).totalTokens, 10)
})

t.test('an unknown model is an APICallError that says what is wrong and is not retried', async (t) => {
  const { room } = await openProvider(t)
  const error = await generateText({ model: room('gpt-9'), prompt }).catch((reason: unknown) => reason)
  if (!APICallError.isInstance(error)) throw new Error('it should have failed with an APICallError')
  t.equal(error.statusCode, 404)
  t.equal(error.message, 'No available participant for the requested model')
  t.notOk(error.isRetryable)
})

t.test('an error of the participant reaches the client in its words', async (t) => {
  const { room } = await openProvider(t, (_request, response) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end('{"error":{"message":"the prompt is too long","type":"exceed_context_size_error","code":400}}')
  })
  const error = await generateText({ model: room('*'), prompt, maxRetries: 0 }).catch((reason: unknown) => reason)
  if (!APICallError.isInstance(error)) throw new Error('it should have failed with an APICallError')
  t.equal(error.message, 'the prompt is too long')
})

t.test('a stream that breaks is told as an error, then cut, and asked for once', async (t) => {
  const { room, llm } = await openProvider(t, answerBrokenStream(['So', 'up']))
  const errors: string[] = []
  const onError = ({ error }: { error: unknown }) => void errors.push(String(error))
  const result = streamText({ model: room('*'), prompt, maxRetries: 0, onError })
  let said = ''
  const reading = (async () => {
    for await (const part of result.fullStream) if (part.type === 'text-delta') said += part.text
  })()
  await t.rejects(reading, 'the missing end of the answer is noticed, too')
  t.equal(said, 'Soup')
  t.match(errors[0], 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test('a stream that the client aborts ends at the participant', async (t) => {
  const llm = answerByHand()
  const { room } = await openProvider(t, llm.answerer)
  const abort = new AbortController()
  const result = streamText({ model: room('*'), prompt, maxRetries: 0, abortSignal: abort.signal })
  const reading = result.consumeStream()
  const { request, response } = await llm.next()
  startStream(response)
  response.write(chunkOf('So'))
  abort.abort()
  await reading
  await within(request.closed, 10_000, 'the participant sees its socket closed')
  t.ok(request.aborted)
})
