import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { answerByHand, type ByHand } from '../support/by-hand.ts'
import { post, send } from '../support/chat.ts'
import { type Answerer, answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { type EventReader, readEvents } from '../support/sse.ts'

const MODEL = 'llama3.2:3b'

interface Table {
  roomUrl: string
  chatUrl: string
  events: EventReader
  llms: FakeLlm[]
}

/** A room in which Alice and Bob offer the same model, each with an LLM server of its own. */
async function openTable(t: Test, answerers: Answerer[], options: HubOptions = {}): Promise<Table> {
  const { url } = await startHub(t, options)
  const { room } = await openRoom(url)
  const roomUrl = `${url}/rooms/${room.code}`
  const llms: FakeLlm[] = []
  for (const [index, answerer] of answerers.entries()) {
    const llm = await startFakeLlm(t, answerer)
    await join(url, room.code, { id: ['alice', 'bob', 'carol'][index]!, endpoint: llm.url })
    llms.push(llm)
  }
  return { roomUrl, chatUrl: `${roomUrl}/v1/chat/completions`, events: await readEvents(t, `${roomUrl}/events`), llms }
}

/** Requests that are there at the same time, each taken by whoever the hub chose. */
async function holdRequests(t: Test, { chatUrl, events }: Table, model: string, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    const outgoing = post(chatUrl, { model }).on('error', () => {})
    t.teardown(() => outgoing.destroy())
  }
  for (let seen = 0; seen < count; seen++) await events.next('llm:request')
}

function sharesOf({ events }: Table): Record<string, number> {
  const requests = events.frames.filter(({ event }) => event === 'llm:request')
  return Object.fromEntries(
    Object.entries(Object.groupBy(requests, ({ data }) => String(data?.participantId))).map(([id, of]) => [
      id,
      of!.length,
    ]),
  )
}

const never: Answerer = () => {}

for (const model of ['*', MODEL, `model:${MODEL}`]) {
  t.test(`requests at the same time for ${model} are spread evenly`, async (t) => {
    const table = await openTable(t, [never, never])
    await holdRequests(t, table, model, 6)
    t.strictSame(sharesOf(table), { alice: 3, bob: 3 })
  })
}

t.test('requests at the same time are spread over three as well', async (t) => {
  const table = await openTable(t, [never, never, never])
  await holdRequests(t, table, '*', 9)
  t.strictSame(sharesOf(table), { alice: 3, bob: 3, carol: 3 })
})

t.test('a slow participant gets fewer', async (t) => {
  const table = await openTable(t, [never, answerPlain('quick')])
  await holdRequests(t, table, 'alice', 1)
  for (let sent = 0; sent < 5; sent++) {
    t.equal((await send(t, table.chatUrl, { model: MODEL })).headers['x-potluck-participant'], 'bob')
  }
  t.equal(table.llms[0]!.requests.length, 1)
})

t.test('who is idle takes turns', async (t) => {
  const table = await openTable(t, [answerPlain('a'), answerPlain('b')])
  for (let sent = 0; sent < 6; sent++) await send(t, table.chatUrl, { model: '*' })
  t.strictSame(sharesOf(table), { alice: 3, bob: 3 })
})

/** Each leaves Alice as free as she was before. */
const ENDINGS: [string, Answerer][] = [
  ['an answer', answerPlain('done')],
  ['an error', (_request, response) => void response.writeHead(500).end()],
  ['a failure', (_request, response) => void response.destroy()],
]

for (const [what, answerer] of ENDINGS) {
  t.test(`${what} gives the place back`, async (t) => {
    const table = await openTable(t, [answerer, never])
    for (let sent = 0; sent < 3; sent++) await send(t, table.chatUrl, { model: 'alice' })
    for (let sent = 0; sent < 3; sent++) await table.events.next('llm:request')
    await holdRequests(t, table, 'bob', 1)
    await send(t, table.chatUrl, { model: '*' })
    t.equal(table.llms[0]!.requests.length, 4)
  })
}

t.test('a client that leaves gives the place back', async (t) => {
  const alice: ByHand = answerByHand()
  const table = await openTable(t, [alice.answerer, never])
  for (let sent = 0; sent < 3; sent++) {
    const outgoing = post(table.chatUrl, { model: 'alice' }).on('error', () => {})
    await Promise.all([alice.next(), table.events.next('llm:request')])
    outgoing.destroy()
    await table.events.next('llm:cancelled')
  }
  await holdRequests(t, table, 'bob', 1)
  await holdRequests(t, table, '*', 1)
  t.strictSame(sharesOf(table), { alice: 4, bob: 1 })
})

t.test('who is named gets the request, however busy', async (t) => {
  const table = await openTable(t, [never, never])
  await holdRequests(t, table, 'alice', 4)
  t.strictSame(sharesOf(table), { alice: 4 })
})

t.test('a model goes to those alone who offer it', async (t) => {
  const table = await openTable(t, [never, never])
  const { llms, roomUrl } = table
  await call('POST', `${roomUrl}/join`, { id: 'dave', nickname: 'Dave', model: 'mistral', endpoint: llms[0]!.url })
  await holdRequests(t, table, MODEL, 4)
  await holdRequests(t, table, 'mistral', 2)
  t.strictSame(sharesOf(table), { alice: 2, bob: 2, dave: 2 })
})

t.test('who is offline is never chosen', async (t) => {
  const table = await openTable(t, [answerPlain('a'), answerPlain('b')], { offlineAfterMs: 1000, healthTickMs: 10 })
  const heartbeat = setInterval(() => void call('POST', `${table.roomUrl}/health`, { id: 'bob' }).catch(() => {}), 100)
  t.teardown(() => clearInterval(heartbeat))
  t.equal((await table.events.next('participant:offline')).data?.participantId, 'alice')
  for (const model of ['*', MODEL, '*', MODEL]) {
    t.equal((await send(t, table.chatUrl, { model })).headers['x-potluck-participant'], 'bob')
  }
  t.equal(table.llms[0]!.requests.length, 0)
})

t.test('who left is never chosen', async (t) => {
  const table = await openTable(t, [answerPlain('a'), answerPlain('b')])
  await call('DELETE', `${table.roomUrl}/leave/bob`)
  for (let sent = 0; sent < 4; sent++) await send(t, table.chatUrl, { model: MODEL })
  t.strictSame(sharesOf(table), { alice: 4 })
})

t.test('two rooms with the same ids do not count for each other', async (t) => {
  const table = await openTable(t, [answerPlain('a'), answerPlain('b')])
  const hub = new URL(table.roomUrl).origin
  const { room } = await openRoom(hub)
  const busy = await startFakeLlm(t, never)
  await join(hub, room.code, { id: 'alice', endpoint: busy.url })
  const other = `${hub}/rooms/${room.code}`
  const elsewhere = {
    ...table,
    chatUrl: `${other}/v1/chat/completions`,
    events: await readEvents(t, `${other}/events`),
  }
  await holdRequests(t, elsewhere, '*', 3)
  for (let sent = 0; sent < 4; sent++) await send(t, table.chatUrl, { model: '*' })
  t.strictSame(sharesOf(table), { alice: 2, bob: 2 })
})
