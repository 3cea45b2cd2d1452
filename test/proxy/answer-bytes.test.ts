import t from 'tap'
import { send } from '../support/chat.ts'
import { type Answerer, startStream } from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'

const CHAT = { model: '*', messages: [] }

function answerBytes(status: number, type: string, body: Buffer, headers: Record<string, string> = {}): Answerer {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': type, 'content-length': body.length, ...headers })
    response.end(body)
  }
}

t.test('a plain answer arrives byte for byte', async (t) => {
  const odd = Buffer.from('{"n":1e400,"n":-0.0,"big":12345678901234567890,"e":"\\u00e9é\\ud83d\\ude00"  ,"z":[ ]}\r\n')
  const body = Buffer.concat([odd, Buffer.from([0xff, 0xfe, 0x00])])
  const { chatUrl } = await openKitchen(t, answerBytes(200, 'application/json; charset=utf-8', body))
  const answer = await send(t, chatUrl, CHAT)
  t.ok(answer.complete)
  t.ok(answer.body.equals(body))
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8')
  t.equal(answer.headers['content-length'], String(body.length), 'its length is still told')
})

t.test('a streamed answer arrives byte for byte, comments, odd line ends and unknown fields included', async (t) => {
  const frames = [': ping\r\n\r\n', 'data:{"x":1.0}\n\n', 'event: odd\ndata: {\ndata: }\n\n', 'data: [DONE]\n\n', '\n']
  const { chatUrl } = await openKitchen(t, (_request, response) => {
    startStream(response)
    for (const frame of frames) response.write(frame)
    response.end()
  })
  const answer = await send(t, chatUrl, { ...CHAT, stream: true })
  t.ok(answer.complete)
  t.equal(answer.text, frames.join(''))
  t.equal(answer.headers['content-type'], 'text/event-stream')
})

const STATUSES = [200, 201, 202, 206, 400, 401, 402, 403, 404, 409, 418, 422, 429, 451, 500, 501, 503, 504, 529, 599]

t.test("the participant's status passes on with its body, whatever it is", async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  for (const status of STATUSES) {
    llm.answer(answerBytes(status, 'application/json', Buffer.from(`{"status":${status}}`)))
    const answer = await send(t, chatUrl, CHAT)
    t.equal(answer.status, status)
    t.equal(answer.text, `{"status":${status}}`)
  }
})

t.test('the reason phrase passes on', async (t) => {
  const { chatUrl } = await openKitchen(t, (_request, response) => {
    response.writeHead(503, 'Loading model').end('{}')
  })
  t.equal((await send(t, chatUrl, CHAT)).statusMessage, 'Loading model')
})

t.test('a 204 passes on without a body', async (t) => {
  const { chatUrl } = await openKitchen(t, (_request, response) => void response.writeHead(204).end())
  const answer = await send(t, chatUrl, CHAT)
  t.equal(answer.status, 204)
  t.equal(answer.body.length, 0)
})

t.test('early hints are not taken for the answer', async (t) => {
  const { chatUrl } = await openKitchen(t, (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' }, () => response.end('{"late":true}'))
  })
  const answer = await send(t, chatUrl, CHAT)
  t.equal(answer.status, 200)
  t.equal(answer.text, '{"late":true}')
})

t.test('an answer that is compressed unasked passes on as it is, and says so', async (t) => {
  const body = Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x01, 0x02, 0x03])
  const { chatUrl } = await openKitchen(t, answerBytes(200, 'application/json', body, { 'content-encoding': 'gzip' }))
  const answer = await send(t, chatUrl, CHAT, { 'accept-encoding': 'gzip' })
  t.equal(answer.headers['content-encoding'], 'gzip')
  t.ok(answer.body.equals(body))
})

t.test('an answer of 20 MB arrives whole', async (t) => {
  const body = Buffer.alloc(20 * 1024 * 1024, 'potluck ')
  const { chatUrl } = await openKitchen(t, answerBytes(200, 'application/octet-stream', body))
  const answer = await send(t, chatUrl, CHAT)
  t.ok(answer.complete)
  t.ok(answer.body.equals(body))
})
