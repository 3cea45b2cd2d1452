import t, { type Test } from 'tap'
import { send } from '../support/chat.ts'
import { type Answerer, answerNever, answerPlain, answerStream } from '../support/fake-llm.ts'
import { ask, chat, lookAt, setTable, setTableByHand, soon, type Table } from '../support/table.ts'

const broken: Answerer = (_request, response) => void response.writeHead(500).end('{"error":"broken"}')

/** So many failures one after the other open the breaker. */
const FAILURES = 5

async function fail(t: Test, { chatUrl }: Table, times = FAILURES): Promise<void> {
  for (let failed = 0; failed < times; failed++)
    t.equal((await send(t, chatUrl, chat('Hello', { model: 'alice' }))).status, 500)
}

const ONE_ATTEMPT = { hub: { maxAttempts: 1 } }

async function servedBy(t: Test, { chatUrl }: Table): Promise<unknown> {
  return (await send(t, chatUrl, chat('Hello'))).headers['x-potluck-participant']
}

t.test('who has failed so often gets nothing while others can serve', async (t) => {
  const table = await setTable(t, { alice: broken, bob: answerPlain('b') }, ONE_ATTEMPT)
  await fail(t, table)
  for (let sent = 0; sent < 6; sent++) t.equal(await servedBy(t, table), 'bob')
  t.equal(table.llms.alice?.requests.length, FAILURES)
  t.match(await lookAt(table, 'alice'), { passedOver: { failing: 6 } })
})

t.test('who has failed once less is still asked', async (t) => {
  const table = await setTable(t, { alice: broken, bob: answerPlain('b') }, ONE_ATTEMPT)
  await fail(t, table, FAILURES - 1)
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})

t.test('who answered in between has not failed in a row', async (t) => {
  const table = await setTable(t, { alice: broken, bob: answerPlain('b') }, ONE_ATTEMPT)
  await fail(t, table, FAILURES - 1)
  table.llms.alice?.answer(answerPlain('a'))
  t.equal((await send(t, table.chatUrl, chat('Hello', { model: 'alice' }))).status, 200)
  table.llms.alice?.answer(broken)
  await fail(t, table, FAILURES - 1)
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})

t.test('refusing requests is no failure', async (t) => {
  const picky: Answerer = (_request, response) => void response.writeHead(400).end('{}')
  const table = await setTable(t, { alice: picky, bob: answerPlain('b') }, ONE_ATTEMPT)
  for (let sent = 0; sent < 2 * FAILURES; sent++) await send(t, table.chatUrl, chat('Hello', { model: 'alice' }))
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})

t.test('nor are clients that leave', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], ONE_ATTEMPT)
  for (let sent = 0; sent < 2 * FAILURES; sent++) {
    const asked = ask(t, table.chatUrl, chat('Hello', { model: 'alice' }))
    await table.hands.alice?.next()
    asked.leave()
    await table.events.next('llm:cancelled')
  }
  for (const llm of Object.values(table.llms)) llm.answer(answerPlain('there'))
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})

t.test('it is tried again by and by, and a success forgets all', async (t) => {
  const table = await setTable(t, { alice: broken, bob: answerPlain('b') }, ONE_ATTEMPT)
  await fail(t, table)
  table.llms.alice?.answer(answerPlain('a'))
  const back = async () => {
    while ((await servedBy(t, table)) !== 'alice') await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await soon(back(), 'Alice serves again')
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})

t.test('where nobody else is left it is tried at once', async (t) => {
  const table = await setTable(t, { alice: broken }, ONE_ATTEMPT)
  await fail(t, table, 2 * FAILURES)
  t.equal(table.llms.alice?.requests.length, 2 * FAILURES)
  table.llms.alice?.answer(answerPlain('a'))
  t.equal(await servedBy(t, table), 'alice')
})

t.test(
  'where nobody else is left its own words are passed on, and it is asked once more, whichever failure it is',
  async (t) => {
    const table = await setTable(t, { alice: broken }, { hub: { maxAttempts: 3 } })
    for (let sent = 0; sent < FAILURES; sent++) {
      const answer = await send(t, table.chatUrl, chat('Hello'))
      t.equal(answer.status, 500, answer.text)
      t.equal(answer.text, '{"error":"broken"}')
      t.equal(answer.headers['x-potluck-attempts'], '2')
    }
  },
)

t.test('where nobody else is left, those who wait are not turned away', async (t) => {
  const table = await setTableByHand(t, ['alice'], ONE_ATTEMPT)
  const asked = Array.from({ length: FAILURES + 3 }, (_, index) => ask(t, table.chatUrl, chat(`${index}`)))
  for (let failed = 0; failed < FAILURES; failed++) {
    const order = await soon(table.hands.alice!.next(), 'the next request')
    order.response.writeHead(500).end('{}')
  }
  for (let served = 0; served < 3; served++) {
    const order = await soon(table.hands.alice!.next(), 'one that had waited')
    order.response.end('{}')
  }
  const statuses = await Promise.all(asked.map(async ({ answer }) => (await answer).status))
  t.same(statuses.sort(), [200, 200, 200, 500, 500, 500, 500, 500])
})

t.test('one that dies takes nothing with it that had not begun', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'], { hub: { maxAttempts: 3 } })
  const asked = Array.from({ length: 12 }, (_, index) => ask(t, table.chatUrl, chat(`${index}`)))
  const [first, other] = await Promise.all([table.hands.alice!.next(), table.hands.bob!.next()])
  table.llms.alice?.answer((_request, response) => void response.destroy())
  table.llms.bob?.answer(answerPlain('from Bob'))
  first.response.destroy()
  other.response.end('{}')
  for (const { answer } of asked) {
    const { status, headers } = await soon(answer, 'an answer')
    t.strictSame([status, headers['x-potluck-participant']], [200, 'bob'])
  }
})

t.test('a first token that is late is no failure: the prompt may be long', async (t) => {
  const bob: Answerer = (request, response) => void setTimeout(() => answerStream(['b'])(request, response), 100)
  const table = await setTable(t, { alice: answerNever, bob }, { hub: { firstTokenMs: 50, maxAttempts: 3 } })
  const two = () => [1, 2].map(() => send(t, table.chatUrl, chat('Hello', { stream: true })))
  for (let failed = 0; failed <= FAILURES; failed++) {
    // While Bob is at work it is her turn.
    for (const { status } of await soon(Promise.all(two()), 'both answers')) t.equal(status, 200)
    t.equal(table.llms.alice?.requests.length, failed + 1)
  }
  t.notOk((await lookAt(table, 'alice')).passedOver.failing)
})

t.test('what is not about generating says nothing of whether it can', async (t) => {
  const table = await setTable(t, {
    alice: (request, response) =>
      request.path.endsWith('count_tokens') ? broken(request, response) : answerPlain('a')(request, response),
    bob: answerPlain('b'),
  })
  const url = `${table.base}/v1/messages/count_tokens`
  for (let sent = 0; sent < 2 * FAILURES; sent++)
    t.equal((await send(t, url, chat('Hello', { model: 'alice' }))).status, 500)
  const served = [await servedBy(t, table), await servedBy(t, table)]
  t.same(served.sort(), ['alice', 'bob'])
})
