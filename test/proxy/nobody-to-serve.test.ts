import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

async function openAbandonedKitchen(t: Test, offlineAfterMs = 100): Promise<Kitchen> {
  const kitchen = await openKitchen(t, undefined, { hub: { offlineAfterMs, healthTickMs: 10 } })
  const events = await readEvents(t, kitchen.eventsUrl)
  const { body } = await call<{ participants: { status: string }[] }>(
    'GET',
    `${kitchen.url}/rooms/${kitchen.code}/participants`,
  )
  if (body.participants[0]?.status !== 'offline') await events.next('participant:offline')
  return kitchen
}

t.test('an unknown room is 404, in the shape that OpenAI clients parse', async (t) => {
  const { url } = await startHub(t)
  const answer = await send(t, `${url}/rooms/NOROOM/v1/chat/completions`, { model: '*' })
  t.equal(answer.status, 404)
  t.match(answer.headers['content-type'], /^application\/json/)
  t.match(errorOf(answer), { message: 'Room not found', type: 'not_found_error', code: 'PTL_ROOM_NOT_FOUND' })
  t.ok('param' in errorOf(answer))
})

t.test('an unknown room is told before the body is there', async (t) => {
  const { url } = await startHub(t)
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  t.teardown(() => socket.destroy())
  socket.write('POST /rooms/NOROOM/v1/chat/completions HTTP/1.1\r\nHost: hub\r\nContent-Length: 30000000\r\n\r\n')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 404 /)
})

t.test('the code of a room is matched without regard to case', async (t) => {
  const { url, code } = await openKitchen(t)
  t.equal((await send(t, `${url}/rooms/${code.toLowerCase()}/v1/chat/completions`, { model: '*' })).status, 200)
})

t.test('an empty room is 404 whatever is asked for', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const model of ['*', 'any', 'llama3.2:3b', 'model:x', null]) {
    const answer = await send(t, `${url}/rooms/${room.code}/v1/chat/completions`, { model })
    t.equal(answer.status, 404)
    t.equal(errorOf(answer).message, 'No available participant for the requested model')
  }
})

t.test('a model that nobody offers is 404 and says which field is wrong', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const answer = await send(t, chatUrl, { model: 'gpt-9' })
  t.equal(answer.status, 404)
  t.strictSame(errorOf(answer), {
    message: 'No available participant for the requested model',
    type: 'not_found_error',
    param: 'model',
    code: 'model_not_found',
  })
  t.equal(llm.requests.length, 0)
})

t.test('a participant of another room serves nobody here', async (t) => {
  const { url } = await openKitchen(t)
  const { room } = await openRoom(url)
  for (const model of ['*', 'alice', 'llama3.2:3b']) {
    t.equal((await send(t, `${url}/rooms/${room.code}/v1/chat/completions`, { model })).status, 404)
  }
})

t.test('a model or an id that is only on participants who are away is 503', async (t) => {
  const { chatUrl, llm } = await openAbandonedKitchen(t)
  for (const model of ['alice', 'llama3.2:3b', 'model:llama3.2:3b']) {
    const answer = await send(t, chatUrl, { model })
    t.equal(answer.status, 503, model)
    t.equal(errorOf(answer).message, 'Participant is offline')
    t.equal(errorOf(answer).type, 'server_error')
  }
  t.equal(llm.requests.length, 0)
})

t.test('anybody is nobody where all are away: 404', async (t) => {
  const { chatUrl } = await openAbandonedKitchen(t)
  const answer = await send(t, chatUrl, { model: '*' })
  t.equal(answer.status, 404)
  t.equal(errorOf(answer).message, 'No available participant for the requested model')
})

t.test('a heartbeat brings a participant back into service', async (t) => {
  const { chatUrl, url, code } = await openAbandonedKitchen(t, 1500)
  await call('POST', `${url}/rooms/${code}/health`, { id: 'alice' })
  t.equal((await send(t, chatUrl, { model: 'alice' })).status, 200)
})

t.test('who has left serves nobody', async (t) => {
  const { chatUrl, url, code } = await openKitchen(t)
  await join(url, code, { id: 'bob', model: 'mistral' })
  await call('DELETE', `${url}/rooms/${code}/leave/alice`)
  t.equal((await send(t, chatUrl, { model: 'alice' })).status, 404)
  t.equal((await send(t, chatUrl, { model: 'llama3.2:3b' })).status, 404)
})

for (const [what, method, path] of [
  ['a wrong method', 'GET', 'chat/completions'],
  ['a path that is not served', 'POST', 'no/such/thing'],
] as const) {
  t.test(`${what} is told in the shape that OpenAI clients parse`, async (t) => {
    const { url, code } = await openKitchen(t)
    const response = await fetch(`${url}/rooms/${code}/v1/${path}`, { method })
    t.equal(response.status, 404)
    t.match(await response.json(), { error: { message: String, type: String } })
  })
}
