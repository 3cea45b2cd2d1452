import t from 'tap'
import { send } from '../support/chat.ts'
import { type Answerer, startStream } from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'

const STREAMED = { model: '*', messages: [], stream: true }
const PLAIN = { model: '*', messages: [] }

function answer(status: number, type: string, body: string): Answerer {
  return (_request, response) => void response.writeHead(status, { 'content-type': type }).end(body)
}

const NO_JSON: [number, string, string][] = [
  [200, 'text/plain', 'Ollama is running'],
  [200, 'text/html; charset=utf-8', '<h1>It works!</h1>'],
  [200, 'application/json', '{"choices":[{"mess'],
  [404, 'text/plain', '404 page not found'],
  [500, 'text/html', '<h1>Internal Server Error</h1>'],
  [502, 'text/html', '<h1>Bad Gateway</h1>'],
]

for (const [status, type, body] of NO_JSON) {
  t.test(`a ${status} that is no JSON (${type}) passes on, and is no 502 of the hub`, async (t) => {
    const { chatUrl } = await openKitchen(t, answer(status, type, body))
    const got = await send(t, chatUrl, PLAIN)
    t.strictSame([got.status, got.headers['content-type'], got.text], [status, type, body])
  })
}

t.test('an error in JSON stays one, also where a stream was asked for', async (t) => {
  const body = '{"error":{"message":"too long","code":400,"type":"exceed_context_size_error"}}'
  const { chatUrl } = await openKitchen(t, answer(400, 'application/json; charset=utf-8', body))
  const got = await send(t, chatUrl, STREAMED)
  t.equal(got.status, 400)
  t.equal(got.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(got.text, body)
})

t.test('a plain answer to a request for a stream stays plain', async (t) => {
  const { chatUrl } = await openKitchen(t, answer(200, 'application/json', '{"choices":[]}'))
  const got = await send(t, chatUrl, STREAMED)
  t.equal(got.headers['content-type'], 'application/json')
  t.equal(got.text, '{"choices":[]}')
})

t.test('a stream that nobody asked for stays a stream', async (t) => {
  const { chatUrl } = await openKitchen(t, answer(200, 'text/event-stream', 'data: [DONE]\n\n'))
  const got = await send(t, chatUrl, PLAIN)
  t.equal(got.headers['content-type'], 'text/event-stream')
  t.equal(got.text, 'data: [DONE]\n\n')
})

const EMPTY: [string, Answerer][] = [
  ['of length 0', (_request, response) => void response.writeHead(200, { 'content-length': '0' }).end()],
  ['in no chunks', (_request, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end()],
  [
    'that is an event stream',
    (_request, response) => {
      startStream(response)
      response.end()
    },
  ],
]

for (const [what, answerer] of EMPTY) {
  t.test(`an empty 200 ${what} stays empty`, async (t) => {
    const { chatUrl } = await openKitchen(t, answerer)
    const got = await send(t, chatUrl, PLAIN)
    t.equal(got.status, 200)
    t.equal(got.text, '')
    t.ok(got.complete)
  })
}

t.test('an answer without a type gets none made up', async (t) => {
  const { chatUrl } = await openKitchen(t, (_request, response) => void response.end('{}'))
  t.notOk('content-type' in (await send(t, chatUrl, PLAIN)).headers)
})
