import Anthropic from '@anthropic-ai/sdk'
import OpenAI, { APIError } from 'openai'
import t from 'tap'
import { answerMessage } from '../support/anthropic-answers.ts'
import { answerStream, chunkOf, startStream } from '../support/fake-llm.ts'
import { call } from '../support/hub.ts'
import { ask, chat, type HeldTable, MODEL, setTableByHand, soon, take } from '../support/table.ts'

const EAGER = { hub: { streamKeepAliveMs: 40 } }
const STREAM = { stream: true, max_tokens: 5 }

async function hold(t: Parameters<typeof ask>[0], table: HeldTable) {
  ask(t, table.chatUrl, chat('held'))
  return table.hands.alice!.next()
}

t.test('a stream that waits gets comments, then the real stream', async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const held = await hold(t, table)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  await soon(asked.until(': \n\n: \n\n'), 'two comments')
  const { statusCode, headers } = await asked.response
  t.match([statusCode, headers['content-type']], [200, 'text/event-stream'])
  t.equal(table.hands.alice?.count, 1)
  held.response.end('{}')
  const { request, response } = await table.hands.alice!.next()
  await answerStream(['at', ' last'])(request, response)
  const { text, complete } = await asked.answer
  t.ok(complete)
  t.match(text, /^(: \n\n)+data: \{.*"at".*" last".*data: \[DONE\]\n\n$/s)
  t.match(await take(table.events, 'llm:complete', 2), [{}, { participantId: 'alice' }])
})

t.test('so does one whose first token is waited for', async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const { response } = await table.hands.alice!.next()
  startStream(response)
  await soon(asked.until(': \n\n'), 'a comment')
  response.write(chunkOf('first'))
  await asked.until('first')
  const comments = asked.text().split(': \n\n').length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(asked.text().split(': \n\n').length, comments, 'none behind the first token')
  response.end('data: [DONE]\n\n')
  t.ok((await asked.answer).complete)
})

t.test("Anthropic's streams get pings", async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  await hold(t, table)
  const asked = ask(t, `${table.base}/v1/messages`, chat('waits', STREAM))
  await soon(asked.until('event: ping\ndata: {"type": "ping"}\n\n'), 'a ping')
  t.equal((await asked.response).headers['content-type'], 'text/event-stream')
})

t.test("nothing comes before Ollama's streams, plain answers, or where it is switched off", async (t) => {
  const [on, off] = [
    await setTableByHand(t, ['alice'], EAGER),
    await setTableByHand(t, ['alice'], { hub: { streamKeepAliveMs: 0 } }),
  ]
  const silent = [
    { table: on, asked: [`${on.base}/api/chat`, chat('waits', { stream: true })] as const },
    { table: on, asked: [on.chatUrl, chat('waits')] as const },
    { table: off, asked: [off.chatUrl, chat('waits', STREAM)] as const },
  ]
  const begun: string[] = []
  await Promise.all([on, off].map((table) => hold(t, table)))
  for (const { asked } of silent)
    void ask(t, ...asked).response.then(
      ({ headers }) => begun.push(String(headers)),
      () => {},
    )
  const control = ask(t, on.chatUrl, chat('waits', STREAM))
  await soon(control.until(': \n\n: \n\n: \n\n'), 'comments where they are due')
  t.strictSame(begun, [])
})

t.test('behind a comment a failure is told within the stream, and the connection is cut', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { ...EAGER.hub, maxAttempts: 1 } })
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const { response } = await table.hands.alice!.next()
  await asked.until(': \n\n')
  response.destroy()
  const { text, complete } = await soon(asked.answer, 'the end')
  t.notOk(complete)
  const frame = text.split('\n\n').at(-2) as string
  t.match(JSON.parse(frame.replace(/^data: /, '')), { error: { code: 'PTL_PROXY_FAILED', message: /alice/ } })
})

t.test('so is one of the queue', async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  await hold(t, table)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const pinged = ask(t, `${table.base}/v1/messages`, chat('waits', STREAM))
  await Promise.all([asked.until(': \n\n'), pinged.until('event: ping')])
  await call('DELETE', `${table.base}/leave/alice`)
  const openai = await soon(asked.answer, 'the end')
  t.notOk(openai.complete)
  t.match(openai.text, /data: \{"error":\{.*No available participant/)
  const anthropic = await soon(pinged.answer, 'the end')
  t.notOk(anthropic.complete)
  t.match(anthropic.text, /event: error\ndata: \{"type":"error","error":\{.*No available participant/)
})

t.test('somebody else can still be asked behind a comment', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], EAGER)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const first = await table.hands.alice!.next()
  await asked.until(': \n\n')
  first.response.writeHead(500).end('{"error":"mine"}')
  const { request, response } = await table.hands.bob!.next()
  await answerStream(['from Bob'])(request, response)
  const { text, complete } = await asked.answer
  t.ok(complete)
  t.match(text, /^(: \n\n)+data: .*from Bob/s)
  t.notMatch(text, 'mine')
})

t.test(
  "a refusal behind a comment is told within the stream, is nobody's failure, and nobody else is asked",
  async (t) => {
    const table = await setTableByHand(t, ['alice', 'bob'], EAGER)
    const asked = ask(t, table.chatUrl, chat('waits', STREAM))
    const { response } = await table.hands.alice!.next()
    await asked.until(': \n\n')
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"mine"}}')
    const { text, complete } = await soon(asked.answer, 'the end')
    t.notOk(complete)
    t.match(text, /data: \{"error":\{"message":".*400/)
    t.match(await take(table.events, 'llm:error', 1), [{ participantId: 'alice', stage: 'answer', retrying: false }])
    t.equal(table.hands.bob?.count, 0)
  },
)

t.test('a server without the path is no end of a stream that has begun', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], EAGER)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const { response: lacking } = await table.hands.alice!.next()
  await asked.until(': \n\n')
  lacking.writeHead(404, { 'content-type': 'application/json' }).end('{"detail":"Not Found"}')
  const { request, response } = await soon(table.hands.bob!.next(), 'the other one')
  await answerStream(['from Bob'])(request, response)
  const { text, complete } = await soon(asked.answer, 'the end')
  t.ok(complete)
  t.match(text, /^(: \n\n)+data: .*from Bob.*data: \[DONE\]\n\n$/s)
  t.notMatch(text, 'error')
})

t.test('a refusal that is looked at, and nobody better, is told within the stream', async (t) => {
  for (const body of ['{"detail":"Not Found"}', `{"error":"${'no '.repeat(8000)}"}`]) {
    const table = await setTableByHand(t, ['alice'], EAGER)
    const asked = ask(t, table.chatUrl, chat('waits', STREAM))
    const { response } = await table.hands.alice!.next()
    await asked.until(': \n\n')
    response.writeHead(404, { 'content-type': 'application/json' }).end(body)
    const { text, complete } = await soon(asked.answer, 'the end')
    t.notOk(complete)
    t.match(text, /^(: \n\n)+data: \{"error":\{"message":".*404[^\n]*\n\n$/)
    t.equal((await table.hub.app).ollamaProxy.inFlight, 0)
  }
})

t.test('a comment while a refusal comes in makes it one of the stream', async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const { response } = await table.hands.alice!.next()
  response.writeHead(404, { 'content-type': 'application/json' }).write('{"detail":')
  await soon(asked.until(': \n\n'), 'a comment')
  response.end('"Not Found"}')
  const { text, complete } = await soon(asked.answer, 'the end')
  t.notOk(complete)
  t.match(text, /^(: \n\n)+data: \{"error":\{"message":".*404[^\n]*\n\n$/)
})

t.test('no comment comes between the head of another answer and its body', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { streamKeepAliveMs: 1500 } })
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  const { response } = await table.hands.alice!.next()
  response.writeHead(400, { 'content-type': 'application/json' })
  response.flushHeaders()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  response.end('{"error":{"message":"mine"}}')
  const { status, text, headers } = await soon(asked.answer, 'the answer')
  t.strictSame([status, text, headers['content-type']], [400, '{"error":{"message":"mine"}}', 'application/json'])
})

t.test('a client that leaves behind a comment leaves', async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const held = await hold(t, table)
  const asked = ask(t, table.chatUrl, chat('waits', STREAM))
  await asked.until(': \n\n')
  asked.leave()
  await table.events.next('llm:cancelled')
  held.response.end('{}')
  await table.events.next('llm:complete')
  t.equal((await table.hub.app).ollamaProxy.inFlight, 0)
  t.equal(table.hands.alice?.count, 1)
})

t.test("OpenAI's client reads such a stream", async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const openai = new OpenAI({ baseURL: `${table.base}/v1`, apiKey: 'unused', maxRetries: 0 })
  const asked = { model: MODEL, messages: [{ role: 'user' as const, content: 'Hello' }], stream: true as const }

  await t.test('to its end', async (t) => {
    const coming = openai.chat.completions.create(asked)
    const { request, response } = await table.hands.alice!.next()
    const stream = await coming
    void answerStream(['at', ' last'])(request, response)
    let said = ''
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? ''
    t.equal(said, 'at last')
  })

  await t.test('to its failure', async (t) => {
    const coming = openai.chat.completions.create({ ...asked, model: 'alice' })
    const { response } = await table.hands.alice!.next()
    const stream = await coming
    response.writeHead(500).end()
    void table.hands.alice!.next().then((again) => again.response.writeHead(500).end())
    const failure = await (async () => {
      for await (const _ of stream) t.fail('no word came')
    })().catch((error: unknown) => error)
    t.type(failure, APIError)
    t.match(failure, { message: /alice/, code: 'PTL_PROXY_FAILED' })
  })
})

t.test("Anthropic's client reads such a stream", async (t) => {
  const table = await setTableByHand(t, ['alice'], EAGER)
  const anthropic = new Anthropic({ baseURL: table.base, apiKey: 'unused', maxRetries: 0 })
  const messages = [{ role: 'user' as const, content: 'Hello' }]
  const coming = anthropic.messages.create({ model: MODEL, max_tokens: 5, messages, stream: true })
  const { request, response } = await table.hands.alice!.next()
  const stream = await coming
  void answerMessage(['at', ' last'])(request, response)
  const types: string[] = []
  for await (const { type } of stream) types.push(type)
  t.equal(types[0], 'message_start')
  t.equal(types.at(-1), 'message_stop')
})
