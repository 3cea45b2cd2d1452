import t, { type Test } from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { open, post, send } from '../support/chat.ts'
import { type Answerer, answerBrokenStream, answerPlain, answerStream } from '../support/fake-llm.ts'
import { openRoom } from '../support/hub.ts'
import { type Kitchen, openKitchen, openRoomFor } from '../support/kitchen.ts'
import { type EventReader, type Frame, readEvents } from '../support/sse.ts'

const PLAIN = { model: '*', messages: [] }
const STREAMED = { ...PLAIN, stream: true }
const ENDINGS = new Set(['llm:complete', 'llm:error', 'llm:cancelled'])

async function watchedKitchen(t: Test, answerer?: Answerer): Promise<Kitchen & { events: EventReader }> {
  const kitchen = await openKitchen(t, answerer)
  return { ...kitchen, events: await readEvents(t, kitchen.eventsUrl) }
}

t.test('llm:request tells who got what, when the participant does', async (t) => {
  const llm = answerByHand()
  const { chatUrl, events } = await watchedKitchen(t, llm.answerer)
  post(chatUrl, STREAMED).on('error', () => {})
  await llm.next()
  t.match((await events.next('llm:request')).data, {
    participantId: 'alice',
    model: '*',
    requestId: /^.+$/,
    protocol: 'openai-chat',
    stream: true,
    attempt: 1,
    queuedMs: 0,
    reason: /^.+$/,
  })
})

for (const [body, model] of [
  [{ model: 'model:llama3.2:3b' }, 'model:llama3.2:3b'],
  [{ model: 'alice' }, 'alice'],
  [{ model: 'any' }, 'any'],
  [{}, '*'],
  [{ model: null }, '*'],
] as const) {
  t.test(`events name the model as the client wrote it: ${JSON.stringify(body)}`, async (t) => {
    const { chatUrl, events } = await watchedKitchen(t)
    await send(t, chatUrl, body)
    t.equal((await events.next('llm:request')).data?.model, model)
    t.equal((await events.next('llm:complete')).data?.model, model)
  })
}

t.test('stream is true only where the request says true', async (t) => {
  const { chatUrl, events } = await watchedKitchen(t)
  for (const [text, stream] of [
    ['{"stream":true}', true],
    ['{"stream" : true }', true],
    ['{"stream":false}', false],
    ['{"stream":null}', false],
    ['{}', false],
  ] as const) {
    await send(t, chatUrl, text)
    t.equal((await events.next('llm:request')).data?.stream, stream, text)
  }
})

t.test('request and ending carry the id that the answer carries', async (t) => {
  const { chatUrl, events } = await watchedKitchen(t)
  const { headers } = await send(t, chatUrl, PLAIN)
  const requestId = headers['x-potluck-request-id']
  t.equal((await events.next('llm:request')).data?.requestId, requestId)
  t.match((await events.next('llm:complete')).data, { participantId: 'alice', requestId, protocol: 'openai-chat' })
})

t.test('two clients may choose the same request id: the hub has its own', async (t) => {
  const { chatUrl, events } = await watchedKitchen(t)
  await send(t, chatUrl, PLAIN, { 'x-request-id': 'mine', 'request-id': 'mine' })
  await send(t, chatUrl, PLAIN, { 'x-request-id': 'mine', 'request-id': 'mine' })
  const [first, second] = [await events.next('llm:request'), await events.next('llm:request')]
  t.not(first.data?.requestId, second.data?.requestId)
})

interface Failure {
  stage: string
  error: RegExp
}

async function isError(t: Test, events: EventReader, { stage, error }: Failure): Promise<void> {
  const { data } = await events.next('llm:error')
  t.match(data, { participantId: 'alice', requestId: /^.+$/, protocol: 'openai-chat', stage, error, retrying: false })
}

t.test('a refused connection is an error at connect', async (t) => {
  const { chatUrl, eventsUrl } = await openRoomFor(t, 'http://127.0.0.1:1')
  const events = await readEvents(t, eventsUrl)
  await send(t, chatUrl, PLAIN)
  await isError(t, events, { stage: 'connect', error: /Connection refused/ })
})

t.test('a connection that ends without an answer is an error at answer', async (t) => {
  const { chatUrl, events } = await watchedKitchen(t, (_request, response) => void response.destroy())
  await send(t, chatUrl, PLAIN)
  await isError(t, events, { stage: 'answer', error: /^Connection/ })
})

t.test('a stream that breaks is an error at stream', async (t) => {
  const { chatUrl, events } = await watchedKitchen(t, answerBrokenStream(['Hello']))
  await send(t, chatUrl, STREAMED)
  await isError(t, events, { stage: 'stream', error: /^Connection/ })
})

for (const status of [400, 429, 500]) {
  t.test(`a ${status} of the participant is an error at answer, without its words`, async (t) => {
    const { chatUrl, events } = await watchedKitchen(t, (_request, response) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"sesame"}}')
    })
    await send(t, chatUrl, STREAMED)
    await isError(t, events, { stage: 'answer', error: new RegExp(`answered ${status}`) })
  })
}

t.test('a client that leaves is a cancellation, and no error', async (t) => {
  const llm = answerByHand()
  const { chatUrl, events } = await watchedKitchen(t, llm.answerer)
  const outgoing = post(chatUrl, STREAMED).on('error', () => {})
  await llm.next()
  outgoing.destroy()
  const { data } = await events.next('llm:cancelled')
  t.match(data, { participantId: 'alice', requestId: (await events.next('llm:request')).data?.requestId })
  t.ok(Number(data?.durationMs) > 0)
})

/** How a request may end, and the event that says so. */
const OUTCOMES: [string, string, Answerer][] = [
  ['a plain answer', 'llm:complete', answerPlain('Hello')],
  ['a streamed answer', 'llm:complete', answerStream(['Hello', ' world'])],
  ['an empty answer', 'llm:complete', (_request, response) => void response.end()],
  ['an error of the participant', 'llm:error', (_request, response) => void response.writeHead(500).end('no')],
  ['a redirect', 'llm:error', (_request, response) => void response.writeHead(302, { location: '/' }).end()],
  ['no answer', 'llm:error', (_request, response) => void response.destroy()],
  ['a broken stream', 'llm:error', answerBrokenStream(['Hello'])],
]

function endingsOf({ frames }: EventReader, requestId: unknown): (string | undefined)[] {
  const isEnding = ({ event = '', data }: Frame) => ENDINGS.has(event) && data?.requestId === requestId
  return frames.filter(isEnding).map(({ event }) => event)
}

/** One more request, so that whatever the first had to say was said. */
async function drainEvents(t: Test, { chatUrl, llm, events }: Kitchen & { events: EventReader }): Promise<void> {
  llm.answer(answerPlain('next'))
  await send(t, chatUrl, { model: 'alice' })
  for (;;) if ((await events.next('llm:complete')).data?.model === 'alice') return
}

for (const [what, ending, answerer] of OUTCOMES) {
  t.test(`${what} has exactly one ending: ${ending}`, async (t) => {
    const kitchen = await watchedKitchen(t, answerer)
    await send(t, kitchen.chatUrl, STREAMED)
    const { data } = await kitchen.events.next('llm:request')
    await drainEvents(t, kitchen)
    t.strictSame(endingsOf(kitchen.events, data?.requestId), [ending])
  })
}

for (const [what, answerer] of [
  ['in prefill', () => {}],
  ['in the midst of a stream', answerStream(Array(1000).fill('word '), { pauseMs: 5 })],
] as [string, Answerer][]) {
  t.test(`a client that leaves ${what} has exactly one ending: llm:cancelled`, async (t) => {
    const kitchen = await watchedKitchen(t, answerer)
    const outgoing = post(kitchen.chatUrl, STREAMED).on('error', () => {})
    const { data } = await kitchen.events.next('llm:request')
    outgoing.destroy()
    await kitchen.events.next('llm:cancelled')
    await drainEvents(t, kitchen)
    t.strictSame(endingsOf(kitchen.events, data?.requestId), ['llm:cancelled'])
  })
}

t.test('llm:complete waits for the end of the answer', async (t) => {
  const llm = answerByHand()
  const { chatUrl, events } = await watchedKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, STREAMED)
  const { response } = await llm.next()
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  await (await coming).has('data: {}')
  t.notOk(events.frames.some(({ event }) => event === 'llm:complete'))
  response.end('data: [DONE]\n\n')
  await events.next('llm:complete')
  t.ok((await (await coming).ended).complete)
})

t.test('other rooms and the hub-wide feed hear nothing of it', async (t) => {
  const { url, chatUrl, events } = await watchedKitchen(t)
  const { room } = await openRoom(url)
  const elsewhere = [await readEvents(t, `${url}/rooms/${room.code}/events`), await readEvents(t, `${url}/events`)]
  await send(t, chatUrl, PLAIN)
  await events.next('llm:complete')
  await openRoom(url)
  for (const reader of elsewhere) {
    await reader.next('room:created')
    t.notOk(reader.frames.some(({ event }) => event?.startsWith('llm:')))
  }
})
