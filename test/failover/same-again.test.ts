import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { type Answerer, answerNever, answerPlain } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { ownPort } from '../support/ports.ts'
import { ask, attemptsOf, chat, framesOf, MODEL, setTable, soon, take } from '../support/table.ts'
import { eventsSoFar } from '../support/wire.ts'

/** Fails so often, then answers. */
function recovering(failures: number, fail: Answerer): Answerer {
  let left = failures
  return (request, response) => {
    left -= 1
    return left >= 0 ? fail(request, response) : answerPlain('back again')(request, response)
  }
}

const overloaded: Answerer = (_request, response) => void response.writeHead(503, { 'retry-after-ms': '30' }).end('{}')

t.test('with nobody else the same one is asked once more, behind a pause', async (t) => {
  const table = await setTable(t, { alice: recovering(1, (_request, response) => void response.writeHead(500).end()) })
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.equal(answer.status, 200)
  t.match(answer.headers, { 'x-potluck-participant': 'alice', 'x-potluck-attempts': '2' })
  t.match(await take(table.events, 'llm:error', 1), [{ participantId: 'alice', retrying: true }])
  t.match(await take(table.events, 'llm:request', 2), [{ attempt: 1 }, { attempt: 2 }])
})

t.test('it is not asked a third time', async (t) => {
  const table = await setTable(t, { alice: overloaded }, { hub: { maxAttempts: 5 } })
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.equal(answer.status, 503)
  t.equal(answer.text, '{}')
  t.equal(table.llms.alice?.requests.length, 2)
  const errors = await take(table.events, 'llm:error', 2)
  t.strictSame(
    errors.map(({ retrying }) => retrying),
    [true, false],
  )
})

t.test('others are asked first, then the last of them once more', async (t) => {
  const cooks = { alice: overloaded, bob: recovering(1, overloaded) }
  const table = await setTable(t, cooks, { hub: { maxAttempts: 5 } })
  t.equal((await send(t, table.chatUrl, chat('Hello'))).status, 200)
  t.strictSame(attemptsOf(table), ['alice', 'bob', 'bob'])
})

t.test('it is asked again when it said so', async (t) => {
  const asked: number[] = []
  const cook: Answerer = (_request, response) => {
    asked.push(performance.now())
    if (asked.length > 1) return void response.end('{}')
    response.writeHead(429, { 'retry-after': '1' }).end()
  }
  const table = await setTable(t, { alice: cook })
  t.equal((await send(t, table.chatUrl, chat('Hello'))).status, 200)
  const [first = 0, second = 0] = asked
  t.ok(second - first >= 990, `it was left alone for ${second - first} ms`)
})

t.test('it is not asked again where it says to come back later than anybody waits', async (t) => {
  const cook: Answerer = (_request, response) => void response.writeHead(429, { 'retry-after': '60' }).end('{"a":1}')
  const table = await setTable(t, { alice: cook }, { hub: { queueTimeoutMs: 1000 } })
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.strictSame([answer.status, answer.text, answer.headers['retry-after']], [429, '{"a":1}', '60'])
  t.match(answer.headers, { 'x-potluck-attempts': '1' })
})

t.test('a refused connection is tried once more: a server that starts again takes a moment', async (t) => {
  const endpoint = `http://127.0.0.1:${await ownPort()}`
  const table = await setTable(t, { alice: endpoint })
  const asked = ask(t, table.chatUrl, chat('Hello'))
  await table.events.next('llm:error')
  const server = createServer((_request, response) => void response.end('{}'))
  server.listen(Number(new URL(endpoint).port), '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.equal((server.address() as AddressInfo).port, Number(new URL(endpoint).port))
  t.match(await soon(asked.answer, 'the answer'), { status: 200, headers: { 'x-potluck-attempts': '2' } })
})

t.test('silence is not asked twice', async (t) => {
  const table = await setTable(t, { alice: answerNever }, { hub: { firstByteTimeoutMs: 200 } })
  const answer = await send(t, table.chatUrl, chat('Hello'))
  t.equal(answer.status, 502)
  t.match(answer.headers, { 'x-potluck-attempts': '1' })
  t.equal(table.llms.alice?.requests.length, 1)
})

t.test('after silence somebody else is asked', async (t) => {
  const table = await setTable(t, { alice: answerNever, bob: answerPlain('b') }, { hub: { firstByteTimeoutMs: 200 } })
  t.match(await send(t, table.chatUrl, chat('Hello')), { status: 200, headers: { 'x-potluck-participant': 'bob' } })
})

t.test('a client that leaves in the pause ends it', async (t) => {
  const cook: Answerer = (_request, response) => void response.writeHead(429, { 'retry-after': '1' }).end()
  const table = await setTable(t, { alice: cook })
  const asked = ask(t, table.chatUrl, chat('Hello'))
  await table.events.next('llm:error')
  asked.leave()
  t.match((await table.events.next('llm:cancelled')).data, { durationMs: Number, requestId: String })
  await new Promise((resolve) => setTimeout(resolve, 1200))
  t.equal(table.llms.alice?.requests.length, 1)
  t.strictSame((await eventsSoFar(table.url, table.events)).slice(1), ['llm:request', 'llm:error', 'llm:cancelled'])
  t.equal((await table.hub.app).ollamaProxy.inFlight, 0)
})

t.test('while one pauses its slot is free for others', async (t) => {
  const cook: Answerer = (_request, response) => void response.writeHead(429, { 'retry-after': '1' }).end()
  const table = await setTable(t, { alice: recovering(1, cook) })
  const first = ask(t, table.chatUrl, chat('first'))
  await table.events.next('llm:error')
  const second = ask(t, table.chatUrl, chat('second'))
  t.equal((await second.answer).status, 200)
  t.equal(framesOf(table.events, 'llm:request').length, 2)
  t.equal((await first.answer).status, 200)
})

t.test('what comes after a failure when the only one has left meanwhile is told', async (t) => {
  const table = await setTable(t, { alice: overloaded })
  const cook: Answerer = async (_request, response) => {
    await call('DELETE', `${table.base}/leave/alice`)
    response.writeHead(503, { 'retry-after-ms': '100' }).end()
  }
  table.llms.alice?.answer(cook)
  const answer = await soon(send(t, table.chatUrl, chat('Hello')), 'the answer')
  t.ok([502, 503, 404].includes(answer.status), `${answer.status} ${answer.text}`)
  const errors = await take(table.events, 'llm:error', 2)
  t.strictSame(
    errors.map(({ retrying }) => retrying),
    [true, false],
  )
})

t.test('an answer that goes on from another goes back to its maker alone', async (t) => {
  const made: Answerer = (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end('{"id":"resp_1","object":"response","output":[]}')
  }
  const table = await setTable(t, { alice: made })
  const url = `${table.base}/v1/responses`
  t.equal((await send(t, url, { model: MODEL, input: 'Hello' })).status, 200)
  const other = await setTable(t, { bob: answerPlain('from Bob') })
  await join(table.url, table.code, { id: 'bob', endpoint: other.llms.bob?.url as string })
  const goOn = { model: MODEL, input: 'And then?', previous_response_id: 'resp_1' }

  await t.test('where it fails', async (t) => {
    table.llms.alice?.answer(overloaded)
    t.match(await send(t, url, goOn), { status: 503, headers: { 'x-potluck-participant': 'alice' } })
  })

  await t.test('where it has failed often', async (t) => {
    for (let failed = 0; failed < 3; failed++) await send(t, table.chatUrl, chat('Hello', { model: 'alice' }))
    table.llms.alice?.answer(made)
    t.match(await send(t, url, goOn), { status: 200, headers: { 'x-potluck-participant': 'alice' } })
  })

  await t.test('where it has paused', async (t) => {
    const token = bearer(table.joined.alice?.token as string)
    await call('PATCH', `${table.base}/participants/alice`, { paused: true }, token)
    const answer = await send(t, url, goOn)
    t.strictSame([answer.status, errorOf(answer).code], [503, 'PTL_PARTICIPANT_PAUSED'])
  })
  t.equal(other.llms.bob?.requests.length, 0)
})
