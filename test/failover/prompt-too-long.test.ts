import t, { type Test } from 'tap'
import { type Answerer, answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { eventually } from '../support/wire.ts'

const TOO_LONG = {
  error: { code: 400, message: 'the request exceeds the available context size', type: 'exceed_context_size_error' },
}

/** Says as llama.cpp does how large its context window is, and answers the rest so. */
function withWindow(tokens: number, answerer: Answerer): Answerer {
  return (request, response) => {
    response.setHeader('content-type', 'application/json')
    if (request.path === '/props') {
      response.end(JSON.stringify({ total_slots: 2, default_generation_settings: { n_ctx: tokens } }))
    } else if (request.path.startsWith('/api/')) {
      response.writeHead(404).end('{}')
    } else {
      return answerer(request, response)
    }
  }
}

const refuse =
  (body: object, status = 400): Answerer =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

interface Table {
  ask(model: string, content?: string): ReturnType<typeof call<{ error?: { code: string; message: string } }>>
  asked(llm: FakeLlm): number
}

async function openTable(t: Test, llms: Record<string, FakeLlm>, aliases?: object): Promise<Table> {
  const { url } = await startHub(t, { maxAttempts: 3, learnIntervalMs: 60_000 })
  const { room, hostToken } = await openRoom(url)
  const base = `${url}/rooms/${room.code}`
  if (aliases !== undefined) await call('PATCH', base, { aliases }, { authorization: `Bearer ${hostToken}` })
  for (const [id, { url: endpoint }] of Object.entries(llms))
    await join(url, room.code, { id, nickname: id, model: `${id}-model`, models: ['shared'], endpoint })
  const all = Object.values(llms)
  await eventually(() => all.every(({ requests }) => requests.some(({ path }) => path === '/props')), 'all are asked')
  return {
    ask: (model, content = 'hi') =>
      call('POST', `${base}/v1/chat/completions`, { model, messages: [{ role: 'user', content }] }),
    asked: ({ requests }) => requests.filter(({ path }) => path === '/v1/chat/completions').length,
  }
}

t.test('a prompt that is too long for one goes to a larger window', async (t) => {
  const small = await startFakeLlm(t, withWindow(2048, refuse(TOO_LONG)))
  const large = await startFakeLlm(t, withWindow(8192, answerPlain('Soup')))
  const table = await openTable(t, { small, large })
  for (let turn = 0; turn < 4; turn++) {
    const { status, headers } = await table.ask('shared')
    t.equal(status, 200)
    t.equal(headers.get('x-potluck-participant'), 'large')
  }
  t.ok(table.asked(small) > 0, 'the small one was tried')
})

t.test('where there is no larger window the refusal is passed on as it is', async (t) => {
  const small = await startFakeLlm(t, withWindow(2048, refuse(TOO_LONG)))
  const smaller = await startFakeLlm(t, withWindow(1024, refuse(TOO_LONG)))
  const table = await openTable(t, { small, smaller })
  const { status, body } = await table.ask('small')
  t.equal(status, 400)
  t.strictSame(body, TOO_LONG)
  t.equal(table.asked(small), 1)
  t.equal(table.asked(smaller), 0)
})

t.test('a request that names a participant goes to no other, however long it is', async (t) => {
  const small = await startFakeLlm(t, withWindow(2048, refuse(TOO_LONG)))
  const large = await startFakeLlm(t, withWindow(8192, answerPlain('Soup')))
  const table = await openTable(t, { small, large })
  t.strictSame((await table.ask('small')).body, TOO_LONG)
  t.equal(table.asked(large), 0)
})

t.test('any other refusal is never tried elsewhere', async (t) => {
  const refusal = { error: { code: 400, message: 'temperature must be a number', type: 'invalid_request_error' } }
  const small = await startFakeLlm(t, withWindow(2048, refuse(refusal)))
  const large = await startFakeLlm(t, withWindow(8192, refuse(refusal)))
  const table = await openTable(t, { small, large })
  const { status, body } = await table.ask('shared')
  t.equal(status, 400)
  t.strictSame(body, refusal)
  t.equal(table.asked(small) + table.asked(large), 1)
})

t.test('an alias goes on to its next model', async (t) => {
  const small = await startFakeLlm(t, withWindow(2048, refuse(TOO_LONG)))
  const large = await startFakeLlm(t, withWindow(8192, answerPlain('Soup')))
  const table = await openTable(t, { small, large }, { 'gpt-4o': ['small-model', 'large-model'] })
  const { status, headers } = await table.ask('gpt-4o')
  t.equal(status, 200)
  t.equal(headers.get('x-potluck-model'), 'large-model')
  t.equal(table.asked(small), 1)
})

t.test('a prompt that is longer than any window is refused with who came nearest', async (t) => {
  const small = await startFakeLlm(t, withWindow(2048, answerPlain('Soup')))
  const large = await startFakeLlm(t, withWindow(8192, answerPlain('Soup')))
  const table = await openTable(t, { small, large })
  const { status, body } = await table.ask('shared', 'soup '.repeat(20_000))
  t.equal(status, 400)
  t.equal(body.error?.code, 'PTL_PROMPT_TOO_LONG')
  t.match(body.error?.message, /large, with 8192/)
  t.equal(table.asked(small) + table.asked(large), 0)
})
