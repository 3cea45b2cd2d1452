import OpenAI, { APIError } from 'openai'
import t, { type Test } from 'tap'
import { answerCut, answerFrames, answerJson, beginStream, bodyOf, EVENTS } from '../support/client-answers.ts'
import {
  failureOf,
  isLeft,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import { type Answerer, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { DISH_SCHEMA, openaiError } from '../support/openai-answers.ts'
import {
  FRIDGE_CALL,
  type KeepingServer,
  keepResponses,
  RESPONSE_USAGE,
  responseFrames,
  responseOf,
} from '../support/responses-answers.ts'

function clientOf({ room }: { room: string }): OpenAI {
  return new OpenAI({ baseURL: `${room}/v1`, apiKey: 'unused', maxRetries: 0 })
}

async function openClient(t: Test, answerer: Answerer = keepResponses('alice').answerer) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, openai: clientOf(kitchen) }
}

async function openByHand(t: Test) {
  const kitchen = await openKitchenByHand(t)
  return { ...kitchen, openai: clientOf(kitchen) }
}

const ASKED = { model: MODEL, input: QUESTION }

t.test('responses.create answers, with its usage', async (t) => {
  const { openai, llm } = await openClient(t)
  const { id, output_text, usage, status } = await openai.responses.create({ ...ASKED, instructions: 'Be short' })
  t.equal(id, 'resp_alice1')
  t.equal(output_text, 'alice says soup')
  t.equal(status, 'completed')
  t.same(usage, RESPONSE_USAGE)
  t.equal(llm.requests[0]!.path, '/v1/responses')
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, input: QUESTION, instructions: 'Be short' })
})

t.test('responses.create streams each event as it was sent', async (t) => {
  const { openai } = await openClient(t, answerFrames(EVENTS, responseFrames('resp_1', ['So', 'up', ' ☕'])))
  const { parts, error } = await readStream(await openai.responses.create({ ...ASKED, stream: true }))
  t.equal(error, undefined)
  t.strictSame(
    parts.map(({ sequence_number }) => sequence_number),
    parts.map((_, index) => index),
  )
  t.strictSame(
    parts.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : [])),
    ['So', 'up', ' ☕'],
  )
  const last = parts.at(-1)
  if (last?.type !== 'response.completed') throw new Error('the last event should be response.completed')
  t.same(last.response.usage, RESPONSE_USAGE)
})

t.test('responses.stream puts the answer together', async (t) => {
  const { openai } = await openClient(t, answerFrames(EVENTS, responseFrames('resp_1', ['So', 'up'])))
  const stream = openai.responses.stream(ASKED)
  let said = ''
  stream.on('response.output_text.delta', ({ delta }) => {
    said += delta
  })
  t.equal((await stream.finalResponse()).output_text, 'Soup')
  t.equal(said, 'Soup')
})

t.test('a tool and its call come through as they are', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(responseOf('resp_1', [FRIDGE_CALL])))
  const parameters = { type: 'object', properties: { shelf: { type: 'string' } } }
  const tools = [{ type: 'function' as const, name: FRIDGE_CALL.name, strict: false, parameters }]
  const { output } = await openai.responses.create({ ...ASKED, tools })
  t.strictSame(output, [FRIDGE_CALL])
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, input: QUESTION, tools })
})

t.test('responses.parse: the schema goes to the participant, its answer is parsed', async (t) => {
  const dish = { dish: 'Soup', minutes: 20 }
  const item = { type: 'output_text' as const, text: JSON.stringify(dish), annotations: [] }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [item] } as const
  const { openai, llm } = await openClient(t, answerJson(responseOf('resp_1', [{ ...message, content: [item] }])))
  const format = { type: 'json_schema' as const, name: 'dish', strict: true, schema: DISH_SCHEMA }
  const { output_parsed } = await openai.responses.parse({ ...ASKED, text: { format } })
  t.strictSame(output_parsed, dish)
  t.strictSame(bodyOf(llm.requests[0]!), { model: REAL_MODEL, input: QUESTION, text: { format } })
})

t.test('retrieve, inputItems.list, cancel and delete reach what was made', async (t) => {
  const alice = keepResponses('alice')
  const { openai, llm } = await openClient(t, alice.answerer)
  const { id, status } = await openai.responses.create({ ...ASKED, background: true })
  t.equal(status, 'in_progress')
  t.match(await openai.responses.retrieve(id), { id, status: 'in_progress', output_text: 'alice says soup' })
  const items: OpenAI.Responses.ResponseItem[] = []
  for await (const item of openai.responses.inputItems.list(id, { order: 'asc', limit: 5 })) items.push(item)
  t.match(items, [{ type: 'message', role: 'user', content: [{ text: QUESTION }] }])
  t.match(await openai.responses.cancel(id), { id, status: 'cancelled' })
  await openai.responses.delete(id)
  t.strictSame(alice.kept, [])
  const failure = await failureOf(openai.responses.retrieve(id), OpenAI.NotFoundError)
  t.match(failure.message, `Response ${id} is not here`)
  t.strictSame(
    llm.requests.map(({ method, path }) => `${method} ${path}`),
    [
      'POST /v1/responses',
      `GET /v1/responses/${id}`,
      `GET /v1/responses/${id}/input_items?order=asc&limit=5`,
      `POST /v1/responses/${id}/cancel`,
      `DELETE /v1/responses/${id}`,
      `GET /v1/responses/${id}`,
    ],
  )
})

t.test('a response is streamed again from where the client was', async (t) => {
  const { openai, llm } = await openClient(t)
  const { id } = await openai.responses.create(ASKED)
  const stream = await openai.responses.retrieve(id, { stream: true, starting_after: 3 })
  const { parts, error } = await readStream(stream)
  t.equal(error, undefined)
  t.equal(parts.at(-1)?.type, 'response.completed')
  t.equal(llm.requests[1]!.path, `/v1/responses/${id}?stream=true&starting_after=3`)
})

t.test('a response that nobody in the room has made is a NotFoundError, and nobody is asked', async (t) => {
  const { openai, llm } = await openClient(t)
  for (const call of [
    () => openai.responses.retrieve('resp_other'),
    () => openai.responses.cancel('resp_other'),
    () => openai.responses.delete('resp_other'),
    () => openai.responses.inputItems.list('resp_other'),
  ]) {
    t.match((await failureOf(call(), OpenAI.NotFoundError)).message, 'resp_other')
  }
  t.equal(llm.requests.length, 0)
})

interface Two {
  openai: OpenAI
  servers: Record<string, { keeping: KeepingServer; llm: FakeLlm }>
}

/** Alice and Bob, who offer the same model and know nothing of each other's responses. */
async function openTwo(t: Test): Promise<Two> {
  const [alice, bob] = [keepResponses('alice'), keepResponses('bob')]
  const kitchen = await openClientKitchen(t, alice.answerer)
  const bobs = await startFakeLlm(t, bob.answerer)
  await join(kitchen.url, kitchen.code, { id: 'bob', nickname: 'Bob', model: REAL_MODEL, endpoint: bobs.url })
  const servers = { alice: { keeping: alice, llm: kitchen.llm }, bob: { keeping: bob, llm: bobs } }
  return { openai: clientOf(kitchen), servers }
}

const NAMES = ['alice', 'bob']

/** @returns the id of a response that this one of the two has made */
function madeBy({ openai }: Two, name: string, stream: boolean): Promise<string> {
  return stream ? streamedId(openai, name) : openai.responses.create({ ...ASKED, model: name }).then(({ id }) => id)
}

async function streamedId(openai: OpenAI, model: string): Promise<string> {
  for await (const event of await openai.responses.create({ ...ASKED, model, stream: true })) {
    if (event.type === 'response.completed') return event.response.id
  }
  throw new Error('the stream has no end')
}

for (const stream of [false, true]) {
  t.test(`of two participants, what a response is asked for goes to who made it (stream: ${stream})`, async (t) => {
    const two = await openTwo(t)
    for (const name of NAMES) {
      const id = await madeBy(two, name, stream)
      t.match(id, name)
      for (let time = 0; time < 3; time++) t.equal((await two.openai.responses.retrieve(id)).id, id)
      await two.openai.responses.delete(id)
      t.strictSame(two.servers[name]!.keeping.kept, [])
    }
    for (const name of NAMES) {
      const paths = two.servers[name]!.llm.requests.map(({ path }) => path)
      t.strictSame(new Set(paths), new Set(['/v1/responses', `/v1/responses/resp_${name}1`]))
    }
  })

  t.test(`of two participants, who made a response goes on from there (stream: ${stream})`, async (t) => {
    const two = await openTwo(t)
    for (const name of NAMES) {
      const before = await madeBy(two, name, stream)
      for (let time = 0; time < 3; time++) {
        const next = await two.openai.responses.create({ ...ASKED, previous_response_id: before })
        t.equal(next.output_text, `${name} goes on from ${before}`)
        t.equal(next.previous_response_id, before)
      }
    }
  })
}

t.test('what a participant does not know any more, it says in its own words', async (t) => {
  const { openai, llm } = await openClient(t)
  const { id } = await openai.responses.create(ASKED)
  await openai.responses.delete(id)
  const coming = openai.responses.create({ ...ASKED, previous_response_id: id })
  t.match(await failureOf(coming, OpenAI.BadRequestError), { code: 'no_such_response' })
  t.equal(llm.requests.length, 3)
})

t.test('a response that breaks off in the midst of its stream raises, and is asked for once', async (t) => {
  const frames = responseFrames('resp_1', ['So', 'up', ' and more']).slice(0, 6)
  const { openai, llm } = await openClient(t, answerCut(EVENTS, frames))
  const { parts, error } = await readStream(
    await openai.withOptions({ maxRetries: 2 }).responses.create({ ...ASKED, stream: true }),
  )
  t.equal(parts.at(-1)?.type, 'response.output_text.delta')
  t.type(error, APIError)
  t.match((error as Error).message, 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test('responses.stream: finalResponse of a stream that breaks fails', async (t) => {
  const { openai } = await openClient(t, answerCut(EVENTS, responseFrames('resp_1', ['So', 'up']).slice(0, 5)))
  t.match(
    (await failureOf(openai.responses.stream(ASKED).finalResponse(), APIError)).message,
    'Alice (alice) broke off',
  )
})

t.test('a stream that the client leaves ends at the participant', async (t) => {
  const { openai, next } = await openByHand(t)
  const reading = (async () => {
    for await (const _ of await openai.responses.create({ ...ASKED, stream: true })) break
  })()
  const order = await next()
  await beginStream(order.response, EVENTS, ...responseFrames('resp_1', ['So']).slice(0, 2))
  await reading
  await isLeft(t, order)
})

for (const stream of [false, true]) {
  t.test(`aborted before the first byte, it ends at the participant (stream: ${stream})`, async (t) => {
    const { openai, next } = await openByHand(t)
    const abort = new AbortController()
    const coming = openai.responses.create({ ...ASKED, stream }, { signal: abort.signal })
    const failing = failureOf(coming, OpenAI.APIUserAbortError)
    const order = await next()
    abort.abort()
    await failing
    await isLeft(t, order)
  })

  t.test(`an error of the participant comes in its words (stream: ${stream})`, async (t) => {
    const { openai, llm } = await openClient(t, answerJson(openaiError('too hot', 'kitchen_error', 'hot'), 422))
    const failure = await failureOf(openai.responses.create({ ...ASKED, stream }), OpenAI.UnprocessableEntityError)
    t.match(failure, { message: /too hot/, type: 'kitchen_error', code: 'hot' })
    t.equal(llm.requests.length, 1)
  })

  t.test(`an unknown model is a NotFoundError, and nobody is asked (stream: ${stream})`, async (t) => {
    const { openai, llm } = await openClient(t)
    const coming = openai.responses.create({ ...ASKED, model: 'gpt-9', stream })
    t.match(await failureOf(coming, OpenAI.NotFoundError), { code: 'model_not_found', param: 'model' })
    t.equal(llm.requests.length, 0)
  })
}
