import OpenAI, { toFile } from 'openai'
import t, { type Test } from 'tap'
import { answerJson, bodyOf, formOf } from '../support/client-answers.ts'
import {
  failureOf,
  LOCKED,
  MESSAGES,
  MODEL,
  openClientKitchen,
  PASSWORD,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { join, openRoom } from '../support/hub.ts'
import type { KitchenOptions } from '../support/kitchen.ts'
import { answerChat, answerEmbeddings, VECTORS } from '../support/openai-answers.ts'
import { keepResponses } from '../support/responses-answers.ts'

/** Two rooms on one hub, each with a participant who says which; the first is as the test wants it. */
async function openRooms(t: Test, options: KitchenOptions = {}) {
  const kitchen = await openClientKitchen(t, answerChat(['first', ' room']), options)
  const { room: second } = await openRoom(kitchen.url, { name: 'Second' })
  const llm = await startFakeLlm(t, answerChat(['second', ' room']))
  await join(kitchen.url, second.code, { id: 'bob', nickname: 'Bob', model: REAL_MODEL, endpoint: llm.url })
  return { ...kitchen, second: { code: second.code, llm } }
}

function clientOf(base: string, apiKey: string): OpenAI {
  return new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 })
}

const ASKED = { model: MODEL, messages: MESSAGES }

async function said(openai: OpenAI): Promise<unknown> {
  return (await openai.chat.completions.create(ASKED)).choices[0]?.message.content
}

t.test("at the root the room's code is the key, in any case", async (t) => {
  const { url, code, second } = await openRooms(t)
  t.equal(await said(clientOf(url, code)), 'first room')
  t.equal(await said(clientOf(url, code.toLowerCase())), 'first room')
  t.equal(await said(clientOf(url, second.code)), 'second room')
})

t.test('at the root a room with a password is named by CODE:password', async (t) => {
  const { url, code, llm } = await openRooms(t, LOCKED)
  t.equal(await said(clientOf(url, `${code}:${PASSWORD}`)), 'first room')
  for (const key of [code, `${code}:wrong`, `${code}:`]) {
    const failure = await failureOf(said(clientOf(url, key)), OpenAI.AuthenticationError)
    t.equal(failure.status, 401, key)
  }
  t.equal(llm.requests.length, 1)
  t.notOk(JSON.stringify(llm.requests[0]!.headers).includes(PASSWORD), 'the password stays in the hub')
})

t.test('at the root a key that names no room of several is told how to name one', async (t) => {
  const { url, llm, second } = await openRooms(t)
  const failure = await failureOf(said(clientOf(url, 'none')), OpenAI.APIError)
  t.ok(failure.status >= 400 && failure.status < 500)
  t.match(failure.message, /room/i)
  t.equal(llm.requests.length + second.llm.requests.length, 0)
})

t.test('models.list at the root lists the models of the room that the key names', async (t) => {
  const { url, code, second } = await openRooms(t, LOCKED)
  const ids = async (key: string) => (await clientOf(url, key).models.list()).data.map(({ id }) => id)
  t.strictSame(await ids(`${code}:${PASSWORD}`), [REAL_MODEL, 'alice', '*'])
  t.strictSame(await ids(second.code), [REAL_MODEL, 'bob', '*'])
  await failureOf(ids(code), OpenAI.AuthenticationError)
})

t.test('at the root chats stream', async (t) => {
  const { url, code } = await openRooms(t)
  const stream = await clientOf(url, code).chat.completions.create({ ...ASKED, stream: true })
  const { parts, error } = await readStream(stream)
  t.equal(error, undefined)
  t.equal(parts.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), 'first room')
})

t.test('at the root an unknown model is a NotFoundError', async (t) => {
  const { url, code } = await openRooms(t)
  const coming = clientOf(url, code).chat.completions.create({ ...ASKED, model: 'gpt-9' })
  t.match(await failureOf(coming, OpenAI.NotFoundError), { code: 'model_not_found', param: 'model' })
})

t.test('at the root responses, their ids and what continues them work as in the room', async (t) => {
  const alice = keepResponses('alice')
  const { url, code, llm } = await openClientKitchen(t, alice.answerer, LOCKED)
  const { responses } = clientOf(url, `${code}:${PASSWORD}`)
  const { id } = await responses.create({ model: MODEL, input: QUESTION })
  t.equal((await responses.retrieve(id)).id, id)
  const next = await responses.create({ model: MODEL, input: QUESTION, previous_response_id: id })
  t.equal(next.output_text, `alice goes on from ${id}`)
  await failureOf(clientOf(url, code).responses.retrieve(id), OpenAI.AuthenticationError)
  await responses.delete(id)
  t.strictSame(alice.kept, [next.id])
  t.equal(llm.requests.length, 4)
})

t.test("a response of one room is not another room's", async (t) => {
  const { url, code, second } = await openRooms(t)
  second.llm.answer(keepResponses('bob').answerer)
  const { id } = await clientOf(url, second.code).responses.create({ model: MODEL, input: QUESTION })
  await failureOf(clientOf(url, code).responses.retrieve(id), OpenAI.NotFoundError)
  t.equal((await clientOf(url, second.code).responses.retrieve(id)).id, id)
})

t.test('at the root embeddings and forms are served too', async (t) => {
  const { url, code, llm } = await openClientKitchen(t, answerEmbeddings)
  const openai = clientOf(url, code)
  const { data } = await openai.embeddings.create({ model: MODEL, input: 'rice' })
  t.strictSame(Array.from(data[0]?.embedding ?? []), VECTORS[0])
  llm.answer(answerJson({ text: 'Dinner is ready' }))
  const file = await toFile(Buffer.alloc(200_000, 7), 'bell.wav')
  t.equal((await openai.audio.transcriptions.create({ model: MODEL, file })).text, 'Dinner is ready')
  t.equal((await formOf(llm.requests[1]!)).get('model'), REAL_MODEL)
})

/** What the client can be asked for, by the path that it asks. */
const CALLS: Record<string, (openai: OpenAI) => PromiseLike<unknown>> = {
  '/v1/chat/completions': (openai) => openai.chat.completions.create(ASKED),
  '/v1/completions': (openai) => openai.completions.create({ model: MODEL, prompt: QUESTION }),
  '/v1/embeddings': (openai) => openai.embeddings.create({ model: MODEL, input: QUESTION }),
  '/v1/responses': (openai) => openai.responses.create({ model: MODEL, input: QUESTION }),
  '/v1/responses/:id': (openai) => openai.responses.retrieve('resp_1'),
  '/v1/audio/speech': (openai) => openai.audio.speech.create({ model: MODEL, input: QUESTION, voice: 'alloy' }),
  '/v1/audio/transcriptions': async (openai) =>
    openai.audio.transcriptions.create({ model: MODEL, file: await toFile(Buffer.alloc(9), 'bell.wav') }),
  '/v1/images/generations': (openai) => openai.images.generate({ model: MODEL, prompt: QUESTION }),
  '/v1/models': (openai) => openai.models.list(),
}

for (const [path, ask] of Object.entries(CALLS)) {
  t.test(`${path}: a locked room is an AuthenticationError without its password, and open with it`, async (t) => {
    const { url, code, room, llm } = await openClientKitchen(t, answerJson({ id: 'resp_1' }), LOCKED)
    for (const [base, key] of [
      [room, 'unused'],
      [url, code],
    ] as const) {
      const failure = await failureOf(ask(clientOf(base, key)), OpenAI.AuthenticationError)
      t.match(failure, { status: 401, message: /password/i, type: 'authentication_error' })
    }
    t.equal(llm.requests.length, 0)
    if (path === '/v1/responses/:id') await clientOf(room, PASSWORD).responses.create({ model: MODEL, input: QUESTION })
    await ask(clientOf(room, PASSWORD))
    await ask(clientOf(url, `${code}:${PASSWORD}`))
  })
}

t.test('a body says which model, also where a header says another', async (t) => {
  const { room, llm } = await openClientKitchen(t, answerChat(['Soup']))
  const headers = { 'x-potluck-model': 'gpt-9' }
  await clientOf(room, 'unused').chat.completions.create(ASKED, { headers })
  t.strictSame(bodyOf(llm.requests[0]!), { ...ASKED, model: REAL_MODEL })
})
