import t, { type Test } from 'tap'
import type { Order } from '../support/by-hand.ts'
import { send } from '../support/chat.ts'
import { type Answerer, answerNever, answerPlain } from '../support/fake-llm.ts'
import { call, join, openRoom } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import {
  ask,
  attemptsOf,
  chat,
  framesOf,
  type HeldTable,
  lookAt,
  setTable,
  setTableByHand,
  soon,
  take,
  wordsOf,
} from '../support/table.ts'

/** Clients that are told apart by their personal keys. */
async function clients(table: HeldTable, count: number): Promise<Record<string, string>[]> {
  const headers: Record<string, string>[] = []
  for (let made = 0; made < count; made++) {
    const asked = { name: `client ${made}` }
    const { body } = await call<{ key: string }>('POST', `${table.base}/keys`, asked, bearer(table.hostToken))
    headers.push(bearer(body.key))
  }
  return headers
}

/** Asks one after the other, so that their order is known to the hub. */
async function line(t: Test, { chatUrl, events }: HeldTable, words: readonly string[], headers = {}) {
  const asked = []
  for (const word of words) {
    asked.push(ask(t, chatUrl, chat(word), headers))
    await events.next('llm:queued')
  }
  return asked
}

async function holdAlice(t: Test, table: HeldTable, headers = {}): Promise<Order> {
  ask(t, table.chatUrl, chat('held'), headers)
  return table.hands.alice!.next()
}

async function serveAll(table: HeldTable, held: Order, count: number): Promise<string[]> {
  const served: string[] = []
  let { response } = held
  for (let done = 0; done < count; done++) {
    response.end('{}')
    const order = await soon(table.hands.alice!.next(), 'the next in the queue')
    served.push(wordsOf(order.request))
    response = order.response
  }
  response.end('{}')
  return served
}

for (const slots of [1, 3]) {
  t.test(`never more than its slots at once (${slots})`, async (t) => {
    let running = 0
    let most = 0
    const cook: Answerer = (request, response) => {
      running += 1
      most = Math.max(most, running)
      setTimeout(() => {
        running -= 1
        answerPlain('done')(request, response)
      }, 5)
    }
    const table = await setTable(t, { alice: cook }, { join: { slots } })
    const answers = await Promise.all(Array.from({ length: 40 }, () => send(t, table.chatUrl, chat('Hello'))))
    t.ok(answers.every(({ status }) => status === 200))
    t.equal(most, slots)
    t.equal(table.llms.alice?.requests.length, 40)
  })
}

t.test('first come, first served', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const held = await holdAlice(t, table)
  const words = Array.from({ length: 12 }, (_, index) => `number ${index}`)
  const asked = await line(t, table, words)
  t.strictSame(
    framesOf(table.events, 'llm:queued').map(({ position }) => position),
    words.map((_, index) => index + 1),
  )
  t.strictSame(await serveAll(table, held, words.length), words)
  for (const { answer } of asked) {
    const { status, headers } = await answer
    t.equal(status, 200)
    t.ok(Number(headers['x-potluck-queue-ms']) > 0, `it waited for ${headers['x-potluck-queue-ms']} ms`)
  }
})

t.test('who waits is told as waiting, and the wait is in the next event', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const held = await holdAlice(t, table)
  await table.events.next('llm:request')
  await line(t, table, ['waits'])
  held.response.end('{}')
  const [request] = await take(table.events, 'llm:request', 1)
  const [queued] = framesOf(table.events, 'llm:queued')
  t.match(queued, { requestId: request?.requestId, model: 'llama3.2:3b', position: 1 })
  t.ok((request?.queuedMs as number) > 0)
})

t.test('whoever has a free slot gets a request, and nobody waits meanwhile', async (t) => {
  const table = await setTableByHand(t, ['alice', 'bob'])
  await holdAlice(t, table)
  const other = ask(t, table.chatUrl, chat('second'))
  const { response } = await table.hands.bob!.next()
  response.end('{}')
  t.match(await other.answer, { status: 200, headers: { 'x-potluck-participant': 'bob', 'x-potluck-queue-ms': '0' } })
  t.equal(framesOf(table.events, 'llm:queued').length, 0)
})

t.test('a client that leaves the queue leaves at once, and nothing goes upstream', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const held = await holdAlice(t, table)
  const [leaving, staying] = await line(t, table, ['leaves', 'stays'])
  leaving!.leave()
  const { data } = await table.events.next('llm:cancelled')
  t.match(data, { requestId: String, durationMs: Number })
  t.notOk('participantId' in (data as object), 'nobody had been asked')
  t.strictSame(await serveAll(table, held, 1), ['stays'])
  t.equal((await staying!.answer).status, 200)
  t.equal(table.hands.alice?.count, 2)
})

t.test('a client that floods does not keep another one waiting', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const [flooding, polite] = await clients(table, 2)
  const held = await holdAlice(t, table, flooding)
  await line(
    t,
    table,
    Array.from({ length: 20 }, (_, index) => `flood ${index}`),
    flooding,
  )
  await line(t, table, ['polite'], polite)
  t.strictSame(await serveAll(table, held, 1), ['polite'])
})

t.test('two who ask for much take turns', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const [one, other, third] = await clients(table, 3)
  const held = await holdAlice(t, table, third)
  await line(t, table, ['a', 'a', 'a', 'a'], one)
  await line(t, table, ['b', 'b', 'b', 'b'], other)
  // Turns are counted by the time that they took, so only the first two are certain.
  t.same((await serveAll(table, held, 8)).slice(0, 2).sort(), ['a', 'b'])
})

t.test("the machine's owner comes first there", async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const held = await holdAlice(t, table)
  await line(t, table, ['guest 1', 'guest 2'])
  await line(t, table, ['owner'], bearer(table.joined.alice?.token as string))
  t.strictSame(await serveAll(table, held, 1), ['owner'])
})

t.test("an owner's request goes to its own machine where that is free", async (t) => {
  const table = await setTable(t, { alice: answerPlain('a'), bob: answerPlain('b') })
  for (const id of ['bob', 'alice', 'bob', 'bob']) {
    const { headers } = await send(t, table.chatUrl, chat('Hello'), bearer(table.joined[id]?.token as string))
    t.match(headers, { 'x-potluck-participant': id, 'x-potluck-reason': 'owner' })
  }
})

t.test('two rooms that share one server share its slots', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const { room } = await openRoom(table.url)
  await join(table.url, room.code, { id: 'alice-too', endpoint: `${table.llms.alice?.url}/v1`, slots: 1 })
  const otherUrl = `${table.url}/rooms/${room.code}`
  const events = await readEvents(t, `${otherUrl}/events`)
  await events.next('connected')
  const held = await holdAlice(t, table)
  const other = ask(t, `${otherUrl}/v1/chat/completions`, chat('from the other room'))
  await events.next('llm:queued')
  t.strictSame(await serveAll(table, held, 1), ['from the other room'])
  t.match(await other.answer, { status: 200, headers: { 'x-potluck-participant': 'alice-too' } })
})

t.test('more slots wake those who wait, fewer slots hold them', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const token = table.joined.alice?.token as string
  const held = await holdAlice(t, table)
  await line(t, table, ['one', 'two', 'three'])
  await call('PATCH', `${table.base}/participants/alice`, { slots: 3 }, bearer(token))
  const orders = [await soon(table.hands.alice!.next(), 'one'), await soon(table.hands.alice!.next(), 'two')]
  t.strictSame(
    orders.map(({ request }) => wordsOf(request)),
    ['one', 'two'],
  )
  await call('PATCH', `${table.base}/participants/alice`, { slots: 1 }, bearer(token))
  for (const { response } of [held, orders[0]!]) response.end('{}')
  await take(table.events, 'llm:complete', 2)
  t.equal(table.hands.alice?.count, 3, 'the third waits while one runs')
  orders[1]!.response.end('{}')
  t.equal(wordsOf((await soon(table.hands.alice!.next(), 'three')).request), 'three')
})

t.test('all slots taken is busy, told once, and so is the end of it', async (t) => {
  const table = await setTableByHand(t, ['alice'])
  const held = await holdAlice(t, table)
  t.match((await table.events.next('participant:updated')).data, { id: 'alice', status: 'busy' })
  t.match(await lookAt(table, 'alice'), { status: 'busy' })
  await line(t, table, ['one', 'two', 'three'])
  await serveAll(table, held, 3)
  t.match((await table.events.next('participant:updated')).data, { id: 'alice', status: 'online' })
  t.match(await lookAt(table, 'alice'), { status: 'online' })
  t.equal(framesOf(table.events, 'participant:updated').length, 2)
})

t.test('who was passed over, and why, is there to be read', async (t) => {
  const cooks = { alice: answerNever, bob: answerPlain('b'), carol: answerPlain('c'), dave: answerPlain('d') }
  const table = await setTable(t, cooks)
  const pause = (id: string, paused: boolean) =>
    call('PATCH', `${table.base}/participants/${id}`, { paused }, bearer(table.joined[id]?.token as string))
  await pause('carol', true)
  await pause('dave', true)
  ask(t, table.chatUrl, chat('held', { model: 'alice' }))
  await table.events.next('llm:request')
  for (let sent = 0; sent < 4; sent++) await send(t, table.chatUrl, chat('Hello'))
  t.strictSame(attemptsOf(table), ['alice', 'bob', 'bob', 'bob', 'bob'])
  t.strictSame((await lookAt(table, 'alice')).passedOver, { busy: 4 })
  t.strictSame((await lookAt(table, 'bob')).passedOver, {})
  t.strictSame((await lookAt(table, 'carol')).passedOver, { paused: 4 })
  await pause('dave', false)
  for (let sent = 0; sent < 4; sent++) await send(t, table.chatUrl, chat('Hello'))
  const [bob, dave] = [await lookAt(table, 'bob'), await lookAt(table, 'dave')]
  t.strictSame([bob.passedOver, dave.passedOver], [{ outranked: 2 }, { paused: 4, outranked: 2 }])
})
