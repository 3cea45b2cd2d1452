import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { mintKey } from '../support/access.ts'
import { errorOf, send as post } from '../support/chat.ts'
import { EVENTS } from '../support/client-answers.ts'
import { type Answerer, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, type RunningHub, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { responsesAnswers } from '../support/real-answers.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar, send } from '../support/wire.ts'

/** Makes responses with ids of its own, and answers for each as itself. */
function answerAs(name: string, idOf = (count: number) => `resp_${name}${count}`): Answerer {
  let count = 0
  return ({ method, path, body }, response) => {
    if (method !== 'POST' || path !== '/v1/responses') {
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ by: name, method, path }))
      return
    }
    count += 1
    const { plain, stream } = responsesAnswers(`${name} says soup`, idOf(count))
    const isStream = (JSON.parse(body.toString()) as { stream?: boolean }).stream === true
    response.setHeader('content-type', isStream ? EVENTS : 'application/json')
    response.end(isStream ? stream.frames.join('') : plain.text)
  }
}

interface Pair {
  hub?: RunningHub
  options?: HubOptions
  aliceMakes?: (count: number) => string
  bobMakes?: (count: number) => string
}

/** A room in which Alice and Bob make responses. */
async function openPair(t: Test, { hub, options = {}, aliceMakes, bobMakes }: Pair = {}) {
  const { url } = hub ?? (await startHub(t, options))
  const alice = await startFakeLlm(t, answerAs('alice', aliceMakes))
  const bob = await startFakeLlm(t, answerAs('bob', bobMakes))
  const room = await manageRoom(url)
  await join(url, room.room.code, { id: 'alice', model: 'soup', endpoint: alice.url })
  await join(url, room.room.code, { id: 'bob', nickname: 'Bob', model: 'stew', endpoint: bob.url })
  const responses = `${room.base}/v1/responses`
  /** Has somebody make one. @returns its id */
  const make = async (model: string, body: object = {}): Promise<string> => {
    const { text, status } = await post(t, responses, { model, input: 'What goes well with rice?', ...body })
    const id = /"id":"(\w+)"/.exec(text)?.[1]
    if (status !== 200 || id === undefined) throw new Error(`${status}: ${text}`)
    return id
  }
  return { ...room, url, alice, bob, responses, make }
}

/** All that can be asked about a response. */
const ABOUT = [
  ['GET', ''],
  ['GET', '?include[]=x&stream=false'],
  ['DELETE', ''],
  ['POST', '/cancel'],
  ['GET', '/input_items'],
  ['GET', '/input_items?limit=2&order=asc'],
] as const

t.test('what is about a response goes to who made it, with its path and query', async (t) => {
  const { responses, make, alice, bob } = await openPair(t)
  const made = { alice: await make('soup'), bob: await make('stew'), streamed: await make('stew', { stream: true }) }
  for (const [by, id] of [
    ['alice', made.alice],
    ['bob', made.bob],
    ['bob', made.streamed],
  ] as const) {
    for (const [method, rest] of ABOUT) {
      const answer = await send(method, `${responses}/${id}${rest}`)
      t.equal(answer.status, 200, `${method} ${rest}`)
      t.strictSame(JSON.parse(answer.text), { by, method, path: `/v1/responses/${id}${rest}` })
      t.match(answer.headers, { 'x-potluck-participant': by, 'x-potluck-reason': 'only' })
    }
  }
  t.strictSame([alice.requests.length, bob.requests.length], [1 + ABOUT.length, 2 + 2 * ABOUT.length])
})

t.test('neither a body nor the client’s key goes with it', async (t) => {
  const { responses, make, alice } = await openPair(t)
  const id = await make('soup')
  for (const [method, rest] of ABOUT) {
    const headers = { ...bearer('secret of the client'), 'content-type': 'application/json' }
    await send(method, `${responses}/${id}${rest}`, {
      headers,
      ...(method === 'GET' ? {} : { body: '{"model":"stew"}' }),
    })
    const { body, headers: sent } = alice.requests.at(-1)!
    t.equal(body.length, 0, method)
    t.notOk('authorization' in sent)
  }
})

t.test('it is no event and costs no budget', async (t) => {
  const room = await openPair(t)
  const id = await room.make('soup')
  const { key } = await mintKey(room, { name: 'Bob', requestsPerMinute: 1 })
  const events = await readEvents(t, `${room.base}/events`)
  for (const [method, rest] of ABOUT) {
    t.equal((await send(method, `${room.responses}/${id}${rest}`, { headers: bearer(key) })).status, 200)
  }
  t.strictSame(await eventsSoFar(room.url, events), ['connected'])
})

/** Everything about this response is answered with that status and code, and nobody is asked. */
async function isRefused(
  t: Test,
  { responses, alice, bob }: Awaited<ReturnType<typeof openPair>>,
  id: string,
  status: number,
  code: string,
) {
  const before = alice.requests.length + bob.requests.length
  for (const [method, rest] of ABOUT) {
    const answer = await send(method, `${responses}/${id}${rest}`)
    const error = errorOf(answer as never)
    t.strictSame([answer.status, error.code, error.param], [status, code, null], `${method} ${rest}`)
    t.equal(error.type, status === 404 ? 'not_found_error' : 'server_error')
    t.ok(error.message.length > 10)
  }
  t.equal(alice.requests.length + bob.requests.length, before)
}

t.test('an id that nobody made is not found, whatever it looks like', async (t) => {
  const pair = await openPair(t)
  await pair.make('soup')
  for (const id of ['resp_nobody1', 'alice', '*', '%2e%2ex', 'x'.repeat(2000), '%00', '%22%3E']) {
    await isRefused(t, pair, id, 404, 'PTL_RESPONSE_NOT_FOUND')
  }
  const { text } = await send('GET', `${pair.responses}/${'x'.repeat(2000)}`)
  t.ok(text.length < 500, 'what was asked for is not told at its full length')
})

t.test('what was made in one room is not found in another', async (t) => {
  const hub = await startHub(t)
  const [one, other] = [
    await openPair(t, { hub }),
    await openPair(t, { hub, aliceMakes: (count) => `resp_other${count}` }),
  ]
  const id = await one.make('soup')
  await isRefused(t, other, id, 404, 'PTL_RESPONSE_NOT_FOUND')
  t.equal((await send('GET', `${one.responses}/${id}`)).status, 200)
})

t.test('what somebody made who has left is not found', async (t) => {
  const pair = await openPair(t)
  const id = await pair.make('soup')
  t.equal((await call('DELETE', `${pair.base}/participants/alice`, undefined, pair.asHost)).status, 200)
  await isRefused(t, pair, id, 404, 'PTL_RESPONSE_NOT_FOUND')
})

t.test('who joins under the id of somebody who has left, with another server, has made nothing yet', async (t) => {
  const pair = await openPair(t)
  const id = await pair.make('soup')
  await call('DELETE', `${pair.base}/leave/alice`)
  await join(pair.url, pair.room.code, { id: 'alice', nickname: 'Another', model: 'soup', endpoint: pair.bob.url })
  await isRefused(t, pair, id, 404, 'PTL_RESPONSE_NOT_FOUND')
})

t.test('while its maker is offline it is told so; then it is there again', async (t) => {
  const { pass, ...hub } = await startTimedHub(t)
  const pair = await openPair(t, { hub })
  const id = await pair.make('soup')
  await pass(31_000)
  await call('POST', `${pair.base}/health`, { id: 'bob' })
  await isRefused(t, pair, id, 503, 'PTL_PARTICIPANT_OFFLINE')
  await call('POST', `${pair.base}/health`, { id: 'alice' })
  t.equal((await send('GET', `${pair.responses}/${id}`)).headers['x-potluck-participant'], 'alice')
})

t.test('a maker that has paused still answers for what it made', async (t) => {
  const pair = await openPair(t)
  const id = await pair.make('soup')
  await call('PATCH', `${pair.base}/participants/alice`, { paused: true }, pair.asHost)
  t.equal((await send('GET', `${pair.responses}/${id}`)).headers['x-potluck-participant'], 'alice')
})

t.test('an id that two have made is shown to nobody', async (t) => {
  const pair = await openPair(t, { aliceMakes: () => 'resp_same', bobMakes: () => 'resp_same' })
  await pair.make('soup')
  t.equal((await send('GET', `${pair.responses}/resp_same`)).status, 200, 'as long as one has')
  await pair.make('stew')
  await isRefused(t, pair, 'resp_same', 404, 'PTL_RESPONSE_NOT_FOUND')
  await pair.make('soup')
  await isRefused(t, pair, 'resp_same', 404, 'PTL_RESPONSE_NOT_FOUND')
})

t.test('what goes on from a response goes to its maker', async (t) => {
  const { make, alice, bob } = await openPair(t)
  const first = await make('soup')
  for (let turn = 0; turn < 5; turn++) await make('*', { previous_response_id: first })
  await make('*', { previous_response_id: first, stream: true })
  t.strictSame([alice.requests.length, bob.requests.length], [7, 0])
  t.match(JSON.parse(alice.requests.at(-1)!.body.toString()), { model: 'soup', previous_response_id: first })
})

t.test('and what goes on from that one, too', async (t) => {
  const { make, bob } = await openPair(t)
  let last = await make('stew')
  for (let turn = 0; turn < 3; turn++) last = await make('*', { previous_response_id: last })
  t.equal(bob.requests.length, 4)
  t.equal(last, 'resp_bob4')
})

t.test('what goes on from a response that the hub knows nothing of goes to anybody', async (t) => {
  const { make } = await openPair(t)
  for (const before of ['resp_unknown', null, 7, ''])
    t.match(await make('stew', { previous_response_id: before }), /^resp_bob/)
})

/** Why this can't go on from there. */
async function refusalOf({ responses }: { responses: string }, t: Test, body: object) {
  const answer = await post(t, responses, { input: 'and then?', ...body })
  return [answer.status, errorOf(answer).code]
}

t.test('what goes on from a response of two goes to nobody, nor to one who lacks the model or is away', async (t) => {
  const { pass, ...hub } = await startTimedHub(t)
  const pair = await openPair(t, {
    hub,
    aliceMakes: (count) => (count === 1 ? 'resp_alice' : 'resp_same'),
    bobMakes: () => 'resp_same',
  })
  for (const model of ['soup', 'soup', 'stew']) await pair.make(model)
  t.strictSame(await refusalOf(pair, t, { model: '*', previous_response_id: 'resp_same' }), [
    404,
    'PTL_RESPONSE_NOT_FOUND',
  ])
  t.strictSame(await refusalOf(pair, t, { model: 'stew', previous_response_id: 'resp_alice' }), [
    404,
    'model_not_found',
  ])
  await pass(31_000)
  await call('POST', `${pair.base}/health`, { id: 'bob' })
  const away = await refusalOf(pair, t, { model: '*', previous_response_id: 'resp_alice' })
  t.strictSame(away, [503, 'PTL_PARTICIPANT_OFFLINE'])
})

t.test('what a participant only says, or refuses with, it has not made', async (t) => {
  const pair = await openPair(t)
  const saying = (status: number, value: object): Answerer => {
    return (_request, response) =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  }
  pair.alice.answer(saying(400, { id: 'resp_refused', error: { message: 'no' } }))
  await post(t, pair.responses, { model: 'soup', input: '' })
  pair.alice.answer(
    saying(200, { id: 'resp_real', output: [{ text: '{"id":"resp_said"}' }], previous_response_id: 'resp_before' }),
  )
  await post(t, pair.responses, { model: 'soup', input: '' })
  for (const id of ['resp_refused', 'resp_said', 'resp_before'])
    await isRefused(t, pair, id, 404, 'PTL_RESPONSE_NOT_FOUND')
  t.equal((await send('GET', `${pair.responses}/resp_real`)).status, 200)
})

t.test('an id is known as soon as the client can read it', async (t) => {
  const pair = await openPair(t)
  const { stream } = responsesAnswers('slow', 'resp_slow')
  const { promise, resolve } = Promise.withResolvers<void>()
  pair.alice.answer(async ({ method }, response) => {
    if (method === 'GET') return void response.end('{"by":"alice"}')
    response.writeHead(200, { 'content-type': EVENTS }).write(stream.frames[0])
    await promise
    response.end(stream.frames.slice(1).join(''))
  })
  const answer = await fetch(pair.responses, { method: 'POST', body: '{"model":"soup","stream":true,"input":"x"}' })
  const reader = answer.body!.getReader()
  t.match(Buffer.from((await reader.read()).value ?? []).toString(), 'resp_slow')
  t.equal((await send('GET', `${pair.responses}/resp_slow`)).status, 200, 'while it is still being made')
  resolve()
  while (!(await reader.read()).done);
})
