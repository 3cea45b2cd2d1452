import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { send } from '../support/chat.ts'
import { type Answerer, answerPlain, answerStream } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { parseMetrics, valueIn } from '../support/prometheus.ts'
import { startRawLlm } from '../support/raw-llm.ts'
import { attemptsOf, chat, DEAD_URL, framesOf, MODEL, setTable, type Table, take } from '../support/table.ts'

function answers(status: number, headers: Record<string, string> = {}): Answerer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(`{"error":{"message":"mine is ${status}"}}`)
  }
}

/** An LLM server below HTTP, where it is. */
const raw =
  (answer: (socket: Socket) => void) =>
  async (t: Test): Promise<string> =>
    (await startRawLlm(t, answer)).url

/** Each is how Alice may fail before the first byte of an answer. */
const FAILURES: [string, (t: Test) => Promise<Answerer | string>][] = [
  ['a refused connection', async () => DEAD_URL],
  ['a reset', raw((socket) => void socket.resetAndDestroy())],
  ['an early end', raw((socket) => void socket.end())],
  ['an end behind the headers', raw((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'))],
  ['garbage', raw((socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'))],
  ['a redirect', async () => answers(302, { location: 'http://127.0.0.1:1/' })],
  ...[429, 500, 502, 503, 504].map((status): [string, () => Promise<Answerer>] => [
    `${status}`,
    async () => answers(status),
  ]),
]

async function tellsWhoAnswered(t: Test, { events, joined: _, ...table }: Table): Promise<void> {
  const [first, second] = await take(events, 'llm:request', 2)
  const [error] = await take(events, 'llm:error', 1)
  const [complete] = await take(events, 'llm:complete', 1)
  t.match(
    [first, second],
    [
      { participantId: 'alice', attempt: 1, model: MODEL },
      { participantId: 'bob', attempt: 2, model: MODEL, requestId: first?.requestId },
    ],
  )
  t.match(error, { participantId: 'alice', retrying: true, requestId: first?.requestId })
  t.match(complete, { participantId: 'bob', servedModel: MODEL, requestId: first?.requestId })
  const families = parseMetrics(await (await fetch(`${table.url}/metrics`)).text())
  const count = (outcome: string) => valueIn(families, 'potluck_requests_total', { protocol: 'openai-chat', outcome })
  t.strictSame([count('complete'), count('failed')], [1, 0], 'it counts once')
}

for (const stream of [false, true]) {
  for (const [what, open] of FAILURES) {
    t.test(`after ${what} somebody else answers (stream: ${stream})`, async (t) => {
      const bob = stream ? answerStream(['from', ' Bob']) : answerPlain('from Bob')
      const table = await setTable(t, { alice: await open(t), bob })
      const answer = await send(t, table.chatUrl, chat('Hello', { stream }))
      t.equal(answer.status, 200)
      t.ok(answer.complete)
      t.match(answer.text, stream ? /"from".*" Bob".*\[DONE\]/s : /from Bob/)
      t.match(answer.headers, {
        'x-potluck-participant': 'bob',
        'x-potluck-attempts': '2',
        'x-potluck-queue-ms': /^\d+$/,
        'x-potluck-reason': /^[a-z-]+$/,
        'x-potluck-model': MODEL,
      })
      await tellsWhoAnswered(t, table)
      t.equal(table.llms.bob?.requests.length, 1)
    })
  }
}

for (const status of [400, 401, 404, 413, 422]) {
  t.test(`${status} is passed on, and nobody else is asked`, async (t) => {
    const table = await setTable(t, { alice: answers(status), bob: answerPlain('from Bob') })
    const answer = await send(t, table.chatUrl, chat('Hello'))
    t.equal(answer.status, status)
    t.match(answer.text, `mine is ${status}`)
    t.match(answer.headers, { 'x-potluck-participant': 'alice', 'x-potluck-attempts': '1' })
    t.match(await take(table.events, 'llm:error', 1), [{ participantId: 'alice', retrying: false }])
    t.equal(table.llms.alice?.requests.length, 1)
    t.equal(table.llms.bob?.requests.length, 0)
  })
}

t.test('what goes to the next one is the same request, under its own name for the model', async (t) => {
  const table = await setTable(t, { alice: answers(500) })
  const bob = await setTable(t, { bob: answerPlain('from Bob') })
  await join(table.url, table.code, { id: 'bob', endpoint: bob.llms.bob?.url as string, model: `${MODEL}-q8` })
  await table.events.next('participant:joined')
  const answer = await send(t, table.chatUrl, chat('Hello', { model: '*', temperature: 0.5 }))
  t.equal(answer.headers['x-potluck-model'], `${MODEL}-q8`)
  const [one, other] = [table.llms.alice, bob.llms.bob].map((llm) => JSON.parse(String(llm?.requests[0]?.body)))
  t.strictSame({ ...other, model: MODEL }, { ...one, model: MODEL })
  t.strictSame([one.model, other.model], [MODEL, `${MODEL}-q8`])
})

t.test('at most so many are asked as the hub allows, and the last 5xx is passed on as it is', async (t) => {
  const cooks = {
    alice: answers(500),
    bob: answers(502),
    carol: answers(503, { 'retry-after': '7' }),
    dave: answers(504),
  }
  const table = await setTable(t, cooks)
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.equal(answer.status, 503)
  t.match(answer.text, 'mine is 503')
  t.match(answer.headers, { 'retry-after': '7', 'x-potluck-participant': 'carol', 'x-potluck-attempts': '3' })
  const errors = await take(table.events, 'llm:error', 3)
  t.strictSame(
    errors.map(({ participantId, retrying }) => [participantId, retrying]),
    [
      ['alice', true],
      ['bob', true],
      ['carol', false],
    ],
  )
  t.equal(table.llms.dave?.requests.length, 0)
})

t.test('when the last one cannot be reached, the error names it', async (t) => {
  const table = await setTable(t, { alice: answers(500), bob: DEAD_URL }, { hub: { maxAttempts: 2 } })
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.equal(answer.status, 502)
  t.match(answer.text, 'Failed to proxy request: bob: Connection refused')
  t.match(answer.headers, { 'x-potluck-attempts': '2' })
})

t.test('a request that names a participant never goes to another', async (t) => {
  const table = await setTable(t, { alice: answers(503), bob: answerPlain('from Bob') })
  const answer = await send(t, table.chatUrl, chat('Hello', { model: 'alice' }))
  t.equal(answer.status, 503)
  t.strictSame(attemptsOf(table), ['alice', 'alice'])
  t.equal(table.llms.bob?.requests.length, 0)
})

t.test('an upload is tried once', async (t) => {
  const table = await setTable(t, { alice: answers(500), bob: answers(200) })
  const form = '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nllama3.2:3b\r\n--x--\r\n'
  const url = `${table.base}/v1/audio/transcriptions`
  const answer = await send(t, url, form, { 'content-type': 'multipart/form-data; boundary=x' })
  t.equal(answer.status, 500)
  t.match(answer.headers, { 'x-potluck-participant': 'alice', 'x-potluck-attempts': '1' })
  t.equal(table.llms.bob?.requests.length, 0)
})

t.test('behind the first byte nobody else is asked', async (t) => {
  const broken: Answerer = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: {}\n\n', () => setTimeout(() => response.destroy(), 20))
  }
  const table = await setTable(t, { alice: broken, bob: answerPlain('from Bob') })
  const answer = await send(t, table.chatUrl, chat('Hello', { stream: true }))
  t.notOk(answer.complete)
  t.match(answer.text, /PTL_PROXY_FAILED/)
  t.match(await take(table.events, 'llm:error', 1), [{ participantId: 'alice', stage: 'stream', retrying: false }])
  t.equal(table.llms.bob?.requests.length, 0)
  t.equal(framesOf(table.events, 'llm:complete').length, 0)
})

t.test('an alias goes on to its next model, once the first was asked again', async (t) => {
  const table = await setTable(t, { alice: answers(500) })
  const other = await setTable(t, { bob: answerPlain('from Bob') })
  await join(table.url, table.code, { id: 'bob', endpoint: other.llms.bob?.url as string, model: 'mistral' })
  await call('PATCH', table.base, { aliases: { best: [MODEL, 'mistral'] } }, bearer(table.hostToken))
  const answer = await send(t, table.chatUrl, chat('Hello', { model: 'best' }))
  t.equal(answer.status, 200)
  t.match(answer.headers, { 'x-potluck-participant': 'bob', 'x-potluck-model': 'mistral', 'x-potluck-attempts': '3' })
  t.strictSame(attemptsOf(table), ['alice', 'alice', 'bob'])
})
