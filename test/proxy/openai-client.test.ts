import OpenAI, { APIError, APIUserAbortError, InternalServerError, NotFoundError } from 'openai'
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
import { join, startHub } from '../support/hub.ts'
import { type Kitchen, openKitchen, openRoomFor } from '../support/kitchen.ts'

const MESSAGES = [{ role: 'user' as const, content: 'What is for dinner?' }]

function clientOf({ url, code }: Pick<Kitchen, 'url' | 'code'>): OpenAI {
  return new OpenAI({ baseURL: `${url}/rooms/${code}/v1`, apiKey: 'unused', maxRetries: 0 })
}

async function openClient(t: Test, answerer?: Answerer) {
  const kitchen = await openKitchen(t, answerer)
  return { ...kitchen, openai: clientOf(kitchen) }
}

t.test('chat.completions.create answers', async (t) => {
  const { openai } = await openClient(t, answerPlain('Soup'))
  const completion = await openai.chat.completions.create({ model: 'llama3.2:3b', messages: MESSAGES })
  t.equal(completion.choices[0]?.message.content, 'Soup')
  t.equal(completion.usage?.total_tokens, 10)
})

t.test('the request id that the client shows is the one of the participant', async (t) => {
  const { openai } = await openClient(t, (request, response) => {
    response.setHeader('x-request-id', 'req_7')
    return answerPlain('Soup')(request, response)
  })
  const completion = await openai.chat.completions.create({ model: '*', messages: MESSAGES })
  t.equal(completion._request_id, 'req_7')
})

t.test('chat.completions.create streams', async (t) => {
  const { openai } = await openClient(t, answerStream(['So', 'up', ' ☕']))
  const stream = await openai.chat.completions.create({ model: '*', messages: MESSAGES, stream: true })
  let said = ''
  let tokens = 0
  for await (const chunk of stream) {
    said += chunk.choices[0]?.delta.content ?? ''
    tokens = chunk.usage?.total_tokens ?? tokens
  }
  t.equal(said, 'Soup ☕')
  t.equal(tokens, 10)
})

t.test('models.list names models, participants and any', async (t) => {
  const { openai, url, code, llm } = await openClient(t)
  await join(url, code, { id: 'bob', nickname: 'Bob', model: 'mistral', endpoint: llm.url })
  const ids: string[] = []
  for await (const model of openai.models.list()) ids.push(model.id)
  t.strictSame(ids, ['llama3.2:3b', 'mistral', 'alice', 'bob', '*'])
})

/** The error that a call was answered with. */
async function errorFrom(call: Promise<unknown>): Promise<InstanceType<typeof APIError>> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof APIError)) throw new Error('the call should have failed with an APIError')
  return error
}

t.test('an unknown model is a NotFoundError that says what is wrong', async (t) => {
  const { openai } = await openClient(t)
  const error = await errorFrom(openai.chat.completions.create({ model: 'gpt-9', messages: MESSAGES }))
  t.type(error, NotFoundError)
  t.match(error.message, 'No available participant for the requested model')
  t.equal(error.code, 'model_not_found')
  t.equal(error.param, 'model')
})

t.test('an unknown room is a NotFoundError that says so', async (t) => {
  const { url } = await startHub(t)
  const error = await errorFrom(clientOf({ url, code: 'NOROOM' }).models.list())
  t.type(error, NotFoundError)
  t.match(error.message, 'Room not found')
})

t.test('an API that is not served is a NotFoundError that says which', async (t) => {
  const { openai } = await openClient(t)
  const error = await errorFrom(openai.fineTuning.jobs.list())
  t.type(error, NotFoundError)
  t.match(error.message, '/fine_tuning/jobs')
  t.type(error.type, 'string')
})

t.test('a participant that cannot be reached is a server error that says who and why', async (t) => {
  const openai = clientOf(await openRoomFor(t, 'http://127.0.0.1:1'))
  const error = await errorFrom(openai.chat.completions.create({ model: '*', messages: MESSAGES }))
  t.type(error, InternalServerError)
  t.equal(error.status, 502)
  t.match(error.message, 'Failed to proxy request: Alice (alice): Connection refused')
})

for (const stream of [false, true]) {
  t.test(`an error of the participant reaches the client in its words (stream: ${stream})`, async (t) => {
    const { openai } = await openClient(t, (_request, response) => {
      response.writeHead(400, { 'content-type': 'application/json' })
      response.end('{"error":{"message":"the prompt is too long","type":"exceed_context_size_error","code":400}}')
    })
    const error = await errorFrom(openai.chat.completions.create({ model: '*', messages: MESSAGES, stream }))
    t.equal(error.status, 400)
    t.match(error.message, 'the prompt is too long')
    t.equal(error.type, 'exceed_context_size_error')
  })
}

t.test('a stream that breaks raises, with what was said before at hand', async (t) => {
  const { openai, llm } = await openClient(t, answerBrokenStream(['So', 'up']))
  const stream = await openai.chat.completions.create({ model: '*', messages: MESSAGES, stream: true })
  let said = ''
  const reading = (async () => {
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? ''
  })()
  const error = await errorFrom(reading)
  t.equal(said, 'Soup')
  t.match(error.message, 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test("the client's key stays in the hub", async (t) => {
  const { openai, llm } = await openClient(t)
  await openai.chat.completions.create({ model: '*', messages: MESSAGES })
  t.notOk(JSON.stringify(llm.requests[0]!.headers).includes('unused'))
})

t.test('a stream that the client aborts ends at the participant', async (t) => {
  const llm = answerByHand()
  const { openai } = await openClient(t, llm.answerer)
  const coming = openai.chat.completions.create({ model: '*', messages: MESSAGES, stream: true })
  const { request, response } = await llm.next()
  startStream(response)
  response.write(chunkOf('So'))
  for await (const _ of await coming) break
  await within(request.closed, 10_000, 'the participant sees its socket closed')
  t.ok(request.aborted)
})

t.test('a request that the client aborts before its first byte ends at the participant', async (t) => {
  const llm = answerByHand()
  const { openai } = await openClient(t, llm.answerer)
  const abort = new AbortController()
  const coming = openai.chat.completions.create({ model: '*', messages: MESSAGES }, { signal: abort.signal })
  const { request } = await llm.next()
  abort.abort()
  t.type(await coming.catch((reason: unknown) => reason), APIUserAbortError)
  await within(request.closed, 10_000, 'the participant sees its socket closed')
  t.ok(request.aborted)
})
