import t, { type Test } from 'tap'
import { errorOf, send, type WholeAnswer } from '../support/chat.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { type Asked, ask, chat, framesOf, type HeldTable, setTableByHand, soon, take } from '../support/table.ts'
import { eventually } from '../support/wire.ts'

/** Alice is at work, and so many wait. */
async function queueUp(t: Test, table: HeldTable, count: number, more = {}): Promise<Asked[]> {
  ask(t, table.chatUrl, chat('held'))
  await table.hands.alice!.next()
  const asked = Array.from({ length: count }, () => ask(t, table.chatUrl, chat('waits', more)))
  await take(table.events, 'llm:queued', count)
  return asked
}

function isRefusal(t: Test, answer: WholeAnswer, status: number, code: string): void {
  t.equal(answer.status, status, answer.text)
  t.equal(errorOf(answer).code, code)
  t.match(answer.headers, { 'x-potluck-attempts': '0', 'x-potluck-request-id': /./ })
}

t.test('more than may wait are turned away at once, and told when to come back', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { queueLength: 2 } })
  const [first] = await queueUp(t, table, 2)
  const answer = await send(t, table.chatUrl, chat('one too many'))
  isRefusal(t, answer, 429, 'PTL_QUEUE_FULL')
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  first!.leave()
  await table.events.next('llm:cancelled')
  ask(t, table.chatUrl, chat('fits in'))
  t.match((await table.events.next('llm:queued')).data, { position: 2 })
})

t.test('a queue of none serves who can be served at once', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { queueLength: 0 } })
  await queueUp(t, table, 0)
  isRefusal(t, await send(t, table.chatUrl, chat('waits')), 429, 'PTL_QUEUE_FULL')
})

t.test('who was let in and failed is not turned away on the way to somebody else', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], { hub: { queueLength: 0 } })
  const [first, second] = [ask(t, table.chatUrl, chat('first')), ask(t, table.chatUrl, chat('second'))]
  const [one, other] = await Promise.all([table.hands.alice!.next(), table.hands.bob!.next()])
  one.response.writeHead(500).end()
  await table.events.next('llm:queued')
  other.response.end('{}')
  ;(await soon(table.hands.bob!.next(), 'the one that failed')).response.end('{}')
  const answers = await Promise.all([first.answer, second.answer])
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 200],
  )
})

t.test('the queue of one room does not fill that of another', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { queueLength: 1 } })
  await queueUp(t, table, 1)
  const { body } = await call<{ room: { code: string } }>('POST', `${table.url}/rooms`, { name: 'Other' })
  const llm = await startFakeLlm(t, answerPlain('elsewhere'))
  await join(table.url, body.room.code, { id: 'bob', endpoint: llm.url })
  t.equal((await send(t, `${table.url}/rooms/${body.room.code}/v1/chat/completions`, chat('Hello'))).status, 200)
})

t.test('who waits longer than anybody may is told so', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { queueTimeoutMs: 300 } })
  const [asked] = await queueUp(t, table, 1)
  const answer = await soon(asked!.answer, 'the end of the wait')
  isRefusal(t, answer, 429, 'PTL_QUEUE_TIMEOUT')
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  t.ok(Number(answer.headers['x-potluck-queue-ms']) >= 290, answer.headers['x-potluck-queue-ms'] as string)
  const { data } = await table.events.next('llm:error')
  t.match(data, { stage: 'queue', retrying: false, requestId: answer.headers['x-potluck-request-id'] })
  t.notOk('participantId' in (data as object))
  t.equal(table.hands.alice?.count, 1)
})

t.test('each protocol tells it in its own form', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { queueLength: 0 } })
  await queueUp(t, table, 0)
  const anthropic = await send(t, `${table.base}/v1/messages`, chat('Hello', { max_tokens: 5 }))
  t.match(JSON.parse(anthropic.text), { type: 'error', error: { type: 'rate_limit_error', message: String } })
  const ollama = await send(t, `${table.base}/api/chat`, chat('Hello'))
  t.match(JSON.parse(ollama.text), { error: /wait/ })
  for (const { status, headers } of [anthropic, ollama]) {
    t.equal(status, 429)
    t.ok(headers['retry-after'])
  }
})

const MANY = 50

async function allEnd(t: Test, asked: readonly Asked[], status: number, code: string): Promise<void> {
  const answers = await soon(Promise.all(asked.map(({ answer }) => answer)), 'all answers')
  const told = new Set(answers.map((answer) => `${answer.status} ${errorOf(answer).code}`))
  t.strictSame([...told], [`${status} ${code}`])
}

/** By Bob. */
async function allServed(t: Test, asked: readonly Asked[]): Promise<void> {
  const answers = await soon(Promise.all(asked.map(({ answer }) => answer)), 'all answers')
  const told = new Set(answers.map(({ status, headers }) => `${status} ${headers['x-potluck-participant']}`))
  t.strictSame([...told], ['200 bob'])
}

t.test('when all leave, each who waits is told that nobody is left', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const asked = await queueUp(t, table, MANY)
  await call('DELETE', `${table.base}/leave/alice`)
  await allEnd(t, asked, 404, 'model_not_found')
  const errors = await take(table.events, 'llm:error', MANY)
  t.ok(errors.every(({ stage, retrying }) => stage === 'queue' && retrying === false))
})

t.test('when all go offline, each who waits is told so', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { offlineAfterMs: 1500, healthTickMs: 10 } })
  const asked = await queueUp(t, table, MANY)
  await table.events.next('participant:offline', 20_000)
  await allEnd(t, asked, 503, 'PTL_PARTICIPANT_OFFLINE')
})

t.test('when all pause, each who waits is told so', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const asked = await queueUp(t, table, MANY)
  const token = bearer(table.joined.alice?.token as string)
  await call('PATCH', `${table.base}/participants/alice`, { paused: true }, token)
  await allEnd(t, asked, 503, 'PTL_PARTICIPANT_PAUSED')
})

t.test('when the room closes, each who waits is told so', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { graceMs: 100 } })
  const asked = await queueUp(t, table, MANY)
  await call('DELETE', table.base, undefined, bearer(table.hostToken))
  await allEnd(t, asked, 503, 'PTL_ROOM_CLOSED')
  t.equal(table.hands.alice?.count, 1)
})

t.test('when the hub closes, each who waits is told so', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { graceMs: 100 } })
  const asked = await queueUp(t, table, MANY)
  const closed = table.hub.close()
  await allEnd(t, asked, 503, 'PTL_HUB_CLOSING')
  await soon(closed, 'the end of the hub')
  t.equal(table.hands.alice?.count, 1)
})

t.test('who joins takes those who wait', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const asked = await queueUp(t, table, MANY)
  const bob = await startFakeLlm(t, answerPlain('from Bob'))
  await join(table.url, table.code, { id: 'bob', endpoint: bob.url, slots: 4 })
  await allServed(t, asked)
})

t.test('who comes back takes those who wait', async (t) => {
  const hub = { offlineAfterMs: 1500, healthTickMs: 10 }
  const table = await setTableByHand(t, ['alice', 'bob'], { hub })
  const heartbeat = setInterval(() => void call('POST', `${table.base}/health`, { id: 'alice' }).catch(() => {}), 200)
  t.teardown(() => clearInterval(heartbeat))
  await table.events.next('participant:offline', 20_000)
  const asked = await queueUp(t, table, MANY)
  table.llms.bob?.answer(answerPlain('from Bob'))
  await call('POST', `${table.base}/health`, { id: 'bob' })
  await allServed(t, asked)
})

t.test('who offers the model from now on takes those who wait', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const bob = await startFakeLlm(t, answerPlain('from Bob'))
  const { token } = await join(table.url, table.code, { id: 'bob', endpoint: bob.url, model: 'mistral' })
  const asked = await queueUp(t, table, 5)
  t.equal(bob.requests.length, 0)
  await call('PATCH', `${table.base}/participants/bob`, { models: ['mistral', 'llama3.2:3b'] }, bearer(token))
  await allServed(t, asked)
  t.equal(bob.requests.length, 5)
})

t.test('when one leaves as another comes, those who wait go there', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const asked = await queueUp(t, table, MANY)
  const bob = await startFakeLlm(t, answerPlain('from Bob'))
  const joining = join(table.url, table.code, { id: 'bob', endpoint: bob.url, slots: 4 })
  await joining
  await call('DELETE', `${table.base}/leave/alice`)
  await allServed(t, asked)
})

t.test('thousands that waited and left leave nothing', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { eventHistory: 20_000 } })
  ask(t, table.chatUrl, chat('held'))
  const { response } = await table.hands.alice!.next()
  for (let round = 0; round < 25; round++) {
    const asked = Array.from({ length: 200 }, () => ask(t, table.chatUrl, chat('leaves')))
    await eventually(() => framesOf(table.events, 'llm:queued').length === 200 * (round + 1), 'all wait', 20_000)
    for (const { leave } of asked) leave()
    await eventually(() => framesOf(table.events, 'llm:cancelled').length === 200 * (round + 1), 'all left', 20_000)
  }
  const { ollamaProxy } = await table.hub.app
  t.equal(ollamaProxy.inFlight, 1)
  const last = ask(t, table.chatUrl, chat('last'))
  const queued = framesOf(table.events, 'llm:queued')
  await eventually(() => framesOf(table.events, 'llm:queued').length > queued.length, 'the last one waits')
  t.equal(framesOf(table.events, 'llm:queued').at(-1)?.position, 1)
  response.end('{}')
  ;(await table.hands.alice!.next()).response.end('{}')
  t.equal((await last.answer).status, 200)
  t.equal(ollamaProxy.inFlight, 0)
  t.equal(table.hands.alice?.count, 2)
})
