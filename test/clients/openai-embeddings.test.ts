import OpenAI from 'openai'
import t, { type Test } from 'tap'
import { answerJson, bodyOf } from '../support/client-answers.ts'
import { failureOf, isLeft, MODEL, openClientKitchen, openKitchenByHand, REAL_MODEL } from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import { answerEmbeddings, openaiError, VECTORS } from '../support/openai-answers.ts'

const input = ['rice with beans', 'noodles with gravel']

function clientOf({ room }: { room: string }): OpenAI {
  return new OpenAI({ baseURL: `${room}/v1`, apiKey: 'unused', maxRetries: 0 })
}

async function openClient(t: Test, answerer: Answerer = answerEmbeddings) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, openai: clientOf(kitchen) }
}

t.test('embeddings.create asks for base64 by itself, and gets numbers', async (t) => {
  const { openai, llm } = await openClient(t)
  const { data, usage } = await openai.embeddings.create({ model: MODEL, input })
  t.strictSame(
    data.map(({ embedding }) => Array.from(embedding)),
    VECTORS,
  )
  t.same(usage, { prompt_tokens: 4, total_tokens: 4 })
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, input, encoding_format: 'base64' })
  t.equal(llm.requests[0]!.path, '/v1/embeddings')
})

t.test('embeddings.create gets numbers where it asks for them', async (t) => {
  const { openai, llm } = await openClient(t)
  const request = { model: MODEL, input: input[0]!, encoding_format: 'float' as const, dimensions: 4 }
  const { data } = await openai.embeddings.create(request)
  t.strictSame(
    data.map(({ embedding }) => embedding),
    VECTORS.slice(0, 1),
  )
  t.strictSame(bodyOf(llm.requests[0]!), { ...request, model: REAL_MODEL })
})

t.test("the room's defaults for chats do not go into embeddings", async (t) => {
  const { room, llm } = await openClientKitchen(t, answerEmbeddings, {
    room: { defaults: { temperature: 0.2, seed: 7 } },
  })
  await clientOf({ room }).embeddings.create({ model: MODEL, input })
  t.strictSame(Object.keys(bodyOf(llm.requests[0]!)).toSorted(), ['encoding_format', 'input', 'model'])
})

t.test('an error of the participant comes in its words', async (t) => {
  const refusal = openaiError('This server does not support embeddings', 'not_supported_error')
  const { openai, llm } = await openClient(t, answerJson(refusal, 501))
  const failure = await failureOf(openai.embeddings.create({ model: MODEL, input }), OpenAI.APIError)
  t.match(failure, { status: 501, type: 'not_supported_error', message: /does not support embeddings/ })
  t.equal(llm.requests.length, 1)
})

t.test('an unknown model is a NotFoundError, and nobody is asked', async (t) => {
  const { openai, llm } = await openClient(t)
  const failure = await failureOf(openai.embeddings.create({ model: 'gpt-9', input }), OpenAI.NotFoundError)
  t.match(failure, { code: 'model_not_found', param: 'model' })
  t.equal(llm.requests.length, 0)
})

t.test('a request that the client aborts ends at the participant', async (t) => {
  const { next, ...kitchen } = await openKitchenByHand(t)
  const abort = new AbortController()
  const coming = clientOf(kitchen).embeddings.create({ model: MODEL, input }, { signal: abort.signal })
  const failing = failureOf(coming, OpenAI.APIUserAbortError)
  const order = await next()
  abort.abort()
  await failing
  await isLeft(t, order)
})
