import { Ollama } from 'ollama'
import t, { type Test } from 'tap'
import { answerCut, answerFrames, answerJson, beginStream, bodyOf, LINES, line } from '../support/client-answers.ts'
import {
  failureOf,
  isLeft,
  LOCKED,
  leaveAt,
  openClientKitchen,
  openKitchenByHand,
  PASSWORD,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { PULLING } from '../support/ollama-answers.ts'

const SUCCESS = { status: 'success' }
const MANAGED = { participant: { manage: true } }

async function openClient(t: Test, answerer: Answerer, options: Parameters<typeof openClientKitchen>[2] = {}) {
  const kitchen = await openClientKitchen(t, answerer, options)
  return { ...kitchen, ollama: new Ollama({ host: kitchen.room }) }
}

/** What changes a participant's models, by the path that it asks. */
const CHANGES: Record<string, (ollama: Ollama) => Promise<unknown>> = {
  'POST /api/pull': (ollama) => ollama.pull({ model: 'gemma3' }),
  'POST /api/push': (ollama) => ollama.push({ model: 'alice/gemma3' }),
  'POST /api/create': (ollama) => ollama.create({ model: 'cook', from: 'gemma3', system: 'You are a cook.' }),
  'POST /api/copy': (ollama) => ollama.copy({ source: 'gemma3', destination: 'cook' }),
  'DELETE /api/delete': (ollama) => ollama.delete({ model: 'gemma3' }),
}

for (const [asked, change] of Object.entries(CHANGES)) {
  t.test(`${asked} is refused with 403 where nobody allowed it`, async (t) => {
    const { ollama, llm } = await openClient(t, answerJson(SUCCESS))
    const refusal = await failureOf(change(ollama), Error)
    t.match(refusal, { name: 'ResponseError', status_code: 403 })
    t.match(refusal.message, /manage/)
    t.equal(llm.requests.length, 0)
  })

  t.test(`${asked} goes to the participant that allowed it, as it was sent`, async (t) => {
    const { ollama, url, code, llm } = await openClient(t, answerJson(SUCCESS), MANAGED)
    await join(url, code, { id: 'bob', nickname: 'Bob', model: 'mistral', endpoint: 'http://127.0.0.1:1' })
    t.same(await change(ollama), SUCCESS)
    const { method, path, body } = llm.requests[0]!
    t.equal(`${method} ${path}`, asked)
    t.match(body.toString(), /"(?:gemma3|alice\/gemma3)"/)
    t.equal(llm.requests.length, 1)
  })

  t.test(`${asked} needs the password of a locked room`, async (t) => {
    const options = { room: LOCKED.room!, participant: { ...LOCKED.participant, ...MANAGED.participant } }
    const { ollama, room, llm } = await openClient(t, answerJson(SUCCESS), options)
    t.match(await failureOf(change(ollama), Error), { status_code: 401 })
    t.equal(llm.requests.length, 0)
    await change(new Ollama({ host: room, headers: { authorization: `Bearer ${PASSWORD}` } }))
    t.equal(llm.requests.length, 1)
  })
}

t.test('pull streams its progress up to its success', async (t) => {
  const { ollama, llm } = await openClient(t, answerFrames(LINES, [...PULLING, SUCCESS].map(line)), MANAGED)
  const { parts, error } = await readStream(await ollama.pull({ model: 'gemma3', stream: true }))
  t.equal(error, undefined)
  t.same(parts, [...PULLING, SUCCESS])
  t.match(bodyOf(llm.requests[0]!), { name: 'gemma3', stream: true })
})

t.test('a pull that breaks off raises, without a success', async (t) => {
  const { ollama, llm } = await openClient(t, answerCut(LINES, PULLING.map(line)), MANAGED)
  const { parts, error } = await readStream(await ollama.pull({ model: 'gemma3', stream: true }))
  t.same(parts, PULLING)
  t.match((error as Error).message, 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test('a pull that fails says why in the words of the participant', async (t) => {
  const refusal = { error: 'pull model manifest: file does not exist' }
  const { ollama } = await openClient(t, answerJson(refusal, 500), MANAGED)
  t.match(await failureOf(ollama.pull({ model: 'none' }), Error), { status_code: 500, message: refusal.error })
})

t.test('a pull that the client aborts ends at the participant', async (t) => {
  const { next, url, code, room, llm } = await openKitchenByHand(t)
  await join(url, code, { id: 'bob', nickname: 'Bob', model: 'mistral', endpoint: llm.url, manage: true })
  const coming = new Ollama({ host: room }).pull({ model: 'gemma3', stream: true })
  const order = await next()
  await beginStream(order.response, LINES, ...PULLING.map(line))
  const stream = await coming
  await leaveAt(stream)
  stream.abort()
  await isLeft(t, order)
})

t.test('of two who allow it, a header says who is meant', async (t) => {
  const { ollama, url, code, room, llm } = await openClient(t, answerJson(SUCCESS), MANAGED)
  const bob = { id: 'bob', nickname: 'Bob', model: 'mistral', endpoint: 'http://127.0.0.1:1', manage: true }
  await join(url, code, bob)
  const refusal = await failureOf(ollama.pull({ model: 'gemma3' }), Error)
  t.match(refusal, { name: 'ResponseError', message: /x-potluck-participant/i })
  const alices = new Ollama({ host: room, headers: { 'x-potluck-participant': 'alice' } })
  t.same(await alices.pull({ model: 'gemma3' }), SUCCESS)
  t.equal(llm.requests.length, 1)
})

t.test('the participant shows that it allows it', async (t) => {
  const { room } = await openClient(t, answerJson(SUCCESS), MANAGED)
  const { body } = await call('GET', `${room}/participants`)
  t.match(body, { participants: [{ id: 'alice', manage: true }] })
})
