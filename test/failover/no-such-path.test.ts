import t, { type Test } from 'tap'
import { createUnspoken, HOLDS_MS, MAX_REMEMBERED, toldOfPath } from '../../plugins/ollama-proxy/unspoken.ts'
import { manualClock } from '../support/clock.ts'
import { type Answerer, answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'

/** Has no other path than this one. */
const only =
  (path: string, status = 404, body = '{"detail":"Not Found"}'): Answerer =>
  (request, response) =>
    request.path === path ? answerPlain('Soup')(request, response) : void response.writeHead(status).end(body)

const CHAT = '/v1/chat/completions'
const MESSAGES = '/v1/messages'
const MESSAGE = { model: 'shared', max_tokens: 10, messages: [{ role: 'user', content: 'hi' }] }

async function openTable(t: Test, llms: Record<string, FakeLlm>, options: object = {}) {
  const { url } = await startHub(t, { maxAttempts: 3, ...options })
  const { room } = await openRoom(url)
  for (const [id, { url: endpoint }] of Object.entries(llms))
    await join(url, room.code, { id, nickname: id, model: `${id}-model`, models: ['shared'], endpoint })
  return {
    ask: (path: string, body: object = MESSAGE) => call('POST', `${url}/rooms/${room.code}${path}`, body),
    asked: ({ requests }: FakeLlm, wanted: string) => requests.filter(({ path }) => path === wanted).length,
  }
}

for (const [status, body] of [
  [404, '{"detail":"Not Found"}'],
  [405, '{"detail":"Method Not Allowed"}'],
  [501, 'Not Implemented'],
] as const)
  t.test(`whose own server answers ${status} on a path is not asked again on that path`, async (t) => {
    const without = await startFakeLlm(t, only(CHAT, status, body))
    const withIt = await startFakeLlm(t, only(MESSAGES, status))
    const { ask, asked } = await openTable(t, { without, withIt })
    for (let turn = 0; turn < 6; turn++) {
      const { status, headers } = await ask(MESSAGES)
      t.equal(status, 200)
      t.equal(headers.get('x-potluck-participant'), 'withIt')
    }
    t.ok(asked(without, MESSAGES) <= 1, 'once was enough')
    t.equal((await ask(CHAT)).headers.get('x-potluck-participant'), 'without', 'on other paths it is')
  })

t.test('where nobody has the path the answer is passed on, and everybody is asked anew', async (t) => {
  const one = await startFakeLlm(t, only(CHAT))
  const { ask, asked } = await openTable(t, { one })
  for (let turn = 1; turn <= 3; turn++) {
    t.equal((await ask(MESSAGES)).status, 404)
    t.equal(asked(one, MESSAGES), turn)
  }
})

t.test('a 404 about a model or a response is a refusal of the request, and stays with it', async (t) => {
  const strict = await startFakeLlm(t, only(CHAT, 404, '{"error":{"message":"model \'shared\' not found"}}'))
  const other = await startFakeLlm(t, answerPlain('Soup'))
  const { ask, asked } = await openTable(t, { strict, other })
  const answers = []
  for (let turn = 0; turn < 4; turn++) answers.push((await ask(MESSAGES)).status)
  t.strictSame(new Set(answers), new Set([200, 404]))
  t.ok(asked(strict, MESSAGES) >= 2, 'it is asked as before')
})

t.test('a server that was updated is found again', async (t) => {
  const clock = manualClock()
  let isUpdated = false
  const late = await startFakeLlm(t, (request, response) =>
    isUpdated ? answerPlain('Soup')(request, response) : only(CHAT)(request, response),
  )
  const other = await startFakeLlm(t, answerPlain('Soup'))
  const { ask } = await openTable(t, { late, other }, { clock, offlineAfterMs: 86_400_000 })
  const served = async () => (await ask(MESSAGES)).headers.get('x-potluck-participant')
  for (let turn = 0; turn < 3; turn++) t.equal(await served(), 'other')
  isUpdated = true
  t.equal(await served(), 'other')
  clock.advance(HOLDS_MS + 1)
  t.strictSame(new Set([await served(), await served(), await served()]), new Set(['late', 'other']))
})

t.test('what a client makes a server say costs that server nothing', async (t) => {
  for (const [status, body] of [
    [404, '{"error":{"message":"Response \\"Invalid URL (POST /v1/messages)\\" was not found"}}'],
    [404, '{"error":"model \\"llama3\\" not found"}'],
    [405, '{"error":"tool_choice is not supported"}'],
    [501, '{"error":{"message":"top_a is not implemented"}}'],
    [404, ''],
  ] as const) {
    const honest = await startFakeLlm(t, only(CHAT, status, body))
    const other = await startFakeLlm(t, answerPlain('Soup'))
    const { ask, asked } = await openTable(t, { honest, other })
    for (let turn = 0; turn < 4; turn++) await ask(MESSAGES)
    t.ok(asked(honest, MESSAGES) >= 2, `${status} ${body}: it is asked as before`)
  }
})

t.test('a 404 to a request that goes on from a response is about that response', async (t) => {
  const honest = await startFakeLlm(t, only(CHAT, 404, '{"detail":"Not Found"}'))
  const other = await startFakeLlm(t, answerPlain('Soup'))
  const { ask, asked } = await openTable(t, { honest, other })
  const goesOn = { model: 'shared', input: 'hi', previous_response_id: 'resp_nobody' }
  for (let turn = 0; turn < 6; turn++) await ask('/v1/responses', goesOn)
  t.ok(asked(honest, '/v1/responses') >= 2)
})

t.test('somebody else under the same key has said nothing yet', async (t) => {
  const clock = manualClock()
  const unspoken = createUnspoken({ now: () => clock.elapsed() })
  const server = (key: string, joinedAt = 1, origin = 'http://10.0.0.1') => ({
    key,
    target: { origin, basePath: '' },
    participant: { joinedAt },
  })
  unspoken.note(server('a'), MESSAGES)
  clock.advance(1)
  unspoken.note(server('a'), CHAT)
  t.equal(unspoken.isUnspoken(server('a'), MESSAGES), true)
  t.equal(unspoken.isUnspoken(server('a', 2), MESSAGES), false, 'it joined anew')
  t.equal(unspoken.isUnspoken(server('a', 1, 'http://10.0.0.2'), MESSAGES), false, 'it is another machine')
  unspoken.note(server('a', 2), CHAT)
  t.equal(unspoken.isUnspoken(server('a', 2), MESSAGES), false, 'what the first one said is not taken over')
  clock.advance(HOLDS_MS)
  t.equal(unspoken.isEmpty, true, 'nothing is kept for longer')
  for (let n = 0; n <= MAX_REMEMBERED; n++) unspoken.note(server(`${n}`), CHAT)
  t.equal(unspoken.isUnspoken(server('0'), CHAT), false)
  t.equal(unspoken.isUnspoken(server('1'), CHAT), true)
})

t.test('how servers say that they have no such path', async (t) => {
  for (const [status, body] of [
    [404, '404 page not found'],
    [404, '{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}'],
    [404, '{"detail":"Not Found"}'],
    [405, '{"detail":"Method Not Allowed"}'],
    [501, 'Not Implemented'],
    [404, '<!DOCTYPE html><html><body><pre>Cannot POST /v1/messages</pre></body></html>'],
    [404, '{"error":{"message":"Invalid URL (POST /v1/messages)"}}'],
    [404, '{"error":{"code":404,"message":"Resource not found"}}'],
    [404, '{"error":"Unexpected endpoint or method. (POST /v1/messages)"}'],
  ] as const)
    t.equal(toldOfPath(status, body), 'lacking', body)
  for (const [status, body] of [
    [404, ''],
    [405, ''],
    [501, '{"message":"The model does not support Embeddings API"}'],
  ] as const)
    t.equal(toldOfPath(status, body), 'perhaps', body)
  for (const body of [
    '{"error":"model \\"llama3\\" not found, try pulling it first"}',
    '{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}',
    '{"error":{"message":"Previous response with id \'resp_1\' not found."}}',
    '{"error":{"message":"File not found"}}',
    '{"error":{"message":"No response \\"resp_ invalid url (POST /)\\""}}',
  ])
    t.equal(toldOfPath(404, body), 'no', body)
  t.equal(toldOfPath(400, ''), 'no')
})
