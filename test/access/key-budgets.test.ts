import t, { type Test } from 'tap'
import { type MintedKey, mintKey, PASSWORD, startTimedVault, type TimedVault } from '../support/access.ts'
import { open } from '../support/chat.ts'
import { answerPlain, chunkOf, type FakeLlm, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { eventually } from '../support/wire.ts'

interface Usage {
  id: string
  name: string
  requests: number
  inputTokens: number
  outputTokens: number
  tokensToday: number
}

interface Kitchen extends TimedVault {
  llm: FakeLlm
  ask(key: string): ReturnType<typeof call>
  usage(credential: string): Promise<Usage[]>
}

/** Each answer of the LLM server says 7 tokens in and 3 out. */
async function startKitchen(t: Test): Promise<Kitchen> {
  const [vault, llm] = [await startTimedVault(t), await startFakeLlm(t, answerPlain('Hello'))]
  await join(vault.url, vault.room.code, { endpoint: llm.url, password: PASSWORD })
  const ask = (key: string) =>
    call('POST', `${vault.base}/v1/chat/completions`, { model: '*', messages: [] }, bearer(key))
  const usage = async (credential: string) =>
    (await call<{ usage: Usage[] }>('GET', `${vault.base}/usage`, undefined, bearer(credential))).body.usage
  return { ...vault, llm, ask, usage }
}

const used = ({ id, name }: MintedKey, requests: number, inputTokens: number, outputTokens: number): Usage => ({
  id,
  name,
  requests,
  inputTokens,
  outputTokens,
  tokensToday: inputTokens + outputTokens,
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

t.test('requests beyond the budget of a minute are refused, in the words of OpenAI’s clients', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 2 })
  kitchen.clock.advance(15_000)
  t.strictSame([(await kitchen.ask(key)).status, (await kitchen.ask(key)).status], [200, 200])
  const { status, headers, body } = await kitchen.ask(key)
  t.equal(status, 429)
  t.equal(headers.get('retry-after'), '45')
  t.match(body, { error: { message: /Bob has used its 2 requests of this minute: try again in 45 s/ } })
  t.equal(kitchen.llm.requests.length, 2)
})

t.test('the budget of a minute is there again in the next', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 1 })
  const statuses: number[] = []
  for (const pass of [0, 59_999, 1, 0]) {
    kitchen.clock.advance(pass)
    statuses.push((await kitchen.ask(key)).status)
  }
  t.strictSame(statuses, [200, 429, 200, 429])
})

t.test('tokens beyond the budget of a day are refused until midnight UTC', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', tokensPerDay: 15 })
  t.strictSame([(await kitchen.ask(key)).status, (await kitchen.ask(key)).status], [200, 200], '20 of 15: the last one')
  const { status, headers, body } = await kitchen.ask(key)
  t.equal(status, 429)
  t.equal(headers.get('retry-after'), String((12 * HOUR_MS) / 1000))
  t.match(body, { error: { message: /15 tokens of this day \(UTC\): try again in 43200 s/ } })
  kitchen.clock.advance(12 * HOUR_MS)
  t.equal((await kitchen.ask(key)).status, 200)
})

t.test('each key has a budget of its own, and nobody else has any', async (t) => {
  const kitchen = await startKitchen(t)
  const [bob, eve] = [await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 1 }), await mintKey(kitchen)]
  await kitchen.ask(bob.key)
  t.equal((await kitchen.ask(bob.key)).status, 429)
  for (const credential of [eve.key, PASSWORD, kitchen.hostToken]) t.equal((await kitchen.ask(credential)).status, 200)
})

t.test('only inference counts', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 1 })
  for (const path of ['/v1/models', '/participants', '/usage', '/v1/models'])
    t.equal((await call('GET', `${kitchen.base}${path}`, undefined, bearer(key))).status, 200)
  t.equal((await kitchen.ask(key)).status, 200)
})

t.test('many at once: no more than the budget', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 3 })
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await kitchen.ask(key)).status))
  t.equal(statuses.filter((status) => status === 200).length, 3)
  t.equal(statuses.filter((status) => status === 429).length, 7)
})

t.test('the clock is set back and forth: a budget is refused for no longer than a minute, or a day', async (t) => {
  const kitchen = await startKitchen(t)
  const { key } = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 1, tokensPerDay: 1000 })
  for (const jump of [0, -HOUR_MS, HOUR_MS * 48, -HOUR_MS * 72]) {
    kitchen.clock.set(kitchen.clock.now() + jump)
    t.equal((await kitchen.ask(key)).status, 200, `${jump}`)
    const { status, headers } = await kitchen.ask(key)
    t.equal(status, 429)
    t.ok(Number(headers.get('retry-after')) >= 1 && Number(headers.get('retry-after')) <= 60)
  }
})

t.test('a holder sees its own usage, the host everybody’s', async (t) => {
  const kitchen = await startKitchen(t)
  const [bob, eve] = [await mintKey(kitchen, { name: 'Bob' }), await mintKey(kitchen, { name: 'Eve' })]
  for (const key of [bob.key, bob.key, eve.key]) await kitchen.ask(key)
  t.strictSame(await kitchen.usage(bob.key), [used(bob, 2, 14, 6)])
  t.strictSame(await kitchen.usage(eve.key), [used(eve, 1, 7, 3)])
  t.strictSame(await kitchen.usage(kitchen.hostToken), [used(bob, 2, 14, 6), used(eve, 1, 7, 3)])
})

t.test('what is refused is not charged', async (t) => {
  const kitchen = await startKitchen(t)
  const bob = await mintKey(kitchen, { name: 'Bob', requestsPerMinute: 1 })
  for (let request = 0; request < 3; request += 1) await kitchen.ask(bob.key)
  t.strictSame(await kitchen.usage(bob.key), [used(bob, 1, 7, 3)])
})

t.test('totals stay when the day is over, the day’s count does not', async (t) => {
  const kitchen = await startKitchen(t)
  const bob = await mintKey(kitchen, { name: 'Bob' })
  await kitchen.ask(bob.key)
  kitchen.clock.advance(24 * HOUR_MS)
  t.strictSame(await kitchen.usage(bob.key), [{ ...used(bob, 1, 7, 3), tokensToday: 0 }])
})

t.test('a stream that the client gave up is charged for what it was sent', async (t) => {
  const kitchen = await startKitchen(t)
  const bob = await mintKey(kitchen, { name: 'Bob' })
  kitchen.llm.answer((_request, response) => {
    startStream(response)
    for (const word of ['one ', 'two ', 'three ']) response.write(chunkOf(word))
  })
  const body = { model: '*', messages: [{ role: 'user', content: 'Count to three' }], stream: true }
  const coming = await open(t, `${kitchen.base}/v1/chat/completions`, body, bearer(bob.key))
  await coming.has('three')
  coming.abort()
  await kitchen.llm.requests[0]?.closed
  const { budgets } = (await kitchen.hub.app).access
  await eventually(() => budgets.usageOf(bob.id).tokensToday > 0, 'the charge')
  const [usage] = await kitchen.usage(bob.key)
  t.equal(usage?.requests, 1)
  t.ok((usage?.outputTokens ?? 0) >= 3, 'a token a chunk at least')
})

t.test('an answer without a count is charged by an estimate', async (t) => {
  const kitchen = await startKitchen(t)
  const bob = await mintKey(kitchen, { name: 'Bob' })
  kitchen.llm.answer((_request, response) => {
    startStream(response)
    for (const word of ['one ', 'two ', 'three ']) response.write(chunkOf(word))
    response.end('data: [DONE]\n\n')
  })
  const body = { model: '*', messages: [], stream: true }
  const coming = await open(t, `${kitchen.base}/v1/chat/completions`, body, bearer(bob.key))
  await coming.ended
  const [usage] = await kitchen.usage(bob.key)
  t.equal(usage?.requests, 1)
  t.ok((usage?.outputTokens ?? 0) >= 3, 'a token a chunk at least')
})
