import t from 'tap'
import { answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { send } from '../support/wire.ts'

interface OpenAiError {
  error: { message: string; type: string; code: string | null; param: string | null }
}

const CHAT = { model: '*', messages: [{ role: 'user', content: 'Hi' }] }

t.test('POST /rooms/:code/v1/chat/completions: what the participant answered', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  llm.answer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"as":"is"}')
  })
  const { status, text } = await send('POST', `${url}/rooms/${room.code}/v1/chat/completions`, {
    body: JSON.stringify(CHAT),
  })
  t.equal(status, 200)
  t.equal(text, '{"as":"is"}')
})

t.test('what the participant answered, streamed', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t, answerStream(['Hel', 'lo']))]
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  const body = JSON.stringify({ ...CHAT, stream: true })
  const { headers, text } = await send('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { body })
  t.match(headers['content-type'], 'text/event-stream')
  t.match(text, /"Hel"[\s\S]*"lo"[\s\S]*data: \[DONE\]\n\n$/)
})

t.test('404 `Room not found`, in the shape that OpenAI clients parse: {error:{message,type,code,param}}', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call<OpenAiError>('POST', `${url}/rooms/ABC234/v1/chat/completions`, CHAT)
  t.equal(status, 404)
  t.equal(body.error.message, 'Room not found')
  t.strictSame(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type'])
})

t.test('404 `No available participant for the requested model`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const path = `${url}/rooms/${room.code}/v1/chat/completions`
  const nobody = await call<OpenAiError>('POST', path, CHAT)
  await join(url, room.code)
  const other = await call<OpenAiError>('POST', path, { ...CHAT, model: 'gpt-oss:20b' })
  for (const { status, body } of [nobody, other]) {
    t.equal(status, 404)
    t.equal(body.error.message, 'No available participant for the requested model')
  }
})

t.test('503 `Participant is offline` (also: the model exists, but only on participants that are away)', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  await pass(31_000)
  for (const model of ['alice', 'llama3.2:3b', 'model:llama3.2:3b']) {
    const path = `${url}/rooms/${room.code}/v1/chat/completions`
    const { status, body } = await call<OpenAiError>('POST', path, { ...CHAT, model })
    t.equal(status, 503, model)
    t.equal(body.error.message, 'Participant is offline')
  }
})

t.test('502 `Failed to proxy request: <why>`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: 'http://127.0.0.1:1' })
  const { status, body } = await call<OpenAiError>('POST', `${url}/rooms/${room.code}/v1/chat/completions`, CHAT)
  t.equal(status, 502)
  t.match(body.error.message, /^Failed to proxy request: .*Connection refused/)
})
