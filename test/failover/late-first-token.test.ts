import t from 'tap'
import { send } from '../support/chat.ts'
import { answerNever, answerStream, chunkOf, startStream } from '../support/fake-llm.ts'
import { ask, attemptsOf, chat, setTable, setTableByHand, soon, take } from '../support/table.ts'

const HURRY = { hub: { firstTokenMs: 150 } }

t.test('a stream whose first token is late moves to somebody else who is free', async (t) => {
  const table = await setTable(t, { alice: answerNever, bob: answerStream(['from', ' Bob']) }, HURRY)
  const answer = await soon(send(t, table.chatUrl, chat('Hello', { stream: true })), 'the answer')
  t.match(answer.headers, { 'x-potluck-participant': 'bob', 'x-potluck-attempts': '2' })
  t.match(await take(table.events, 'llm:error', 1), [{ participantId: 'alice', error: /first token/, retrying: true }])
  await soon(table.llms.alice!.requests[0]!.closed, 'Alice is left')
  t.ok(table.llms.alice?.requests[0]?.aborted)
})

t.test('headers alone are no token', async (t) => {
  const table = await setTable(
    t,
    { alice: (_request, response) => startStream(response), bob: answerStream(['b']) },
    HURRY,
  )
  const answer = await soon(send(t, table.chatUrl, chat('Hello', { stream: true })), 'the answer')
  t.match(answer.headers, { 'x-potluck-participant': 'bob' })
})

t.test('a stream that has begun stays, however long its next token takes', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], HURRY)
  const asked = ask(t, table.chatUrl, chat('Hello', { stream: true }))
  const { response } = await table.hands.alice!.next()
  startStream(response)
  response.write(chunkOf('slow'))
  await asked.until('slow')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  response.end('data: [DONE]\n\n')
  t.match(await asked.answer, { complete: true, headers: { 'x-potluck-attempts': '1' } })
  t.equal(table.llms.bob?.requests.length, 0)
})

t.test('it stays while nobody else is free, and moves once somebody is', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], HURRY)
  const late = ask(t, table.chatUrl, chat('late', { stream: true }))
  await table.hands.alice!.next()
  const other = ask(t, table.chatUrl, chat('other'))
  const { response } = await table.hands.bob!.next()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  t.strictSame(attemptsOf(table), ['alice', 'bob'])
  table.llms.bob?.answer(answerStream(['from Bob']))
  response.end('{}')
  t.equal((await other.answer).status, 200)
  t.match(await soon(late.answer, 'the late one'), { status: 200, headers: { 'x-potluck-participant': 'bob' } })
})

t.test('a plain request stays: its first byte is its last', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], HURRY)
  const asked = ask(t, table.chatUrl, chat('Hello'))
  const { response } = await table.hands.alice!.next()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  response.end('{}')
  t.match(await asked.answer, { status: 200, headers: { 'x-potluck-participant': 'alice', 'x-potluck-attempts': '1' } })
  t.equal(table.llms.bob?.requests.length, 0)
})

t.test('a stream that names its participant stays', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], HURRY)
  const asked = ask(t, table.chatUrl, chat('Hello', { stream: true, model: 'alice' }))
  const { request, response } = await table.hands.alice!.next()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await answerStream(['at last'])(request, response)
  t.match(await asked.answer, { status: 200, headers: { 'x-potluck-attempts': '1' } })
})

t.test('the last attempt stays', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob', 'carol'], { hub: { firstTokenMs: 150, maxAttempts: 2 } })
  const asked = ask(t, table.chatUrl, chat('Hello', { stream: true }))
  await table.hands.alice!.next()
  const { request, response } = await table.hands.bob!.next()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await answerStream(['at last'])(request, response)
  t.match(await asked.answer, { status: 200, headers: { 'x-potluck-participant': 'bob', 'x-potluck-attempts': '2' } })
  t.equal(table.llms.carol?.requests.length, 0)
})
