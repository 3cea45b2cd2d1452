import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

const LEVELS = 10_000

/** Bodies that the hub itself refuses, and what it says. */
const REFUSED: [string, string | Buffer, RegExp][] = [
  ['no body', '', /not valid JSON/],
  ['blanks', ' \n ', /not valid JSON/],
  ['no JSON', 'model=llama', /not valid JSON/],
  ['single quotes', "{'model':'*'}", /not valid JSON/],
  ['a key without quotes', '{model:"*"}', /not valid JSON/],
  ['a body that ends within an object', '{"model":"*"', /not valid JSON/],
  ['a body that ends within a key', '{"mod', /not valid JSON/],
  ['a body that ends within a string', '{"model":"*","text":"unfinished', /not valid JSON/],
  ['a body that ends behind a backslash', '{"model":"\\', /not valid JSON/],
  ['a body that ends within a list', '{"messages":[{"a":1},', /not valid JSON/],
  ['a body that ends behind a colon', '{"model":', /not valid JSON/],
  ['a comma too many', '{"model":"*",}', /not valid JSON/],
  ['a comma too many in a list', '{"a":[1,],"model":"*"}', /not valid JSON/],
  ['a missing comma', '{"a":1 "model":"*"}', /not valid JSON/],
  ['the wrong bracket', '{"a":[1},"model":"*"}', /not valid JSON/],
  ['something behind the end', '{"model":"*"} {}', /not valid JSON/],
  ['NaN', '{"n":NaN,"model":"*"}', /not valid JSON/],
  ['a leading zero', '{"n":01,"model":"*"}', /not valid JSON/],
  ['a plus sign', '{"n":+1,"model":"*"}', /not valid JSON/],
  ['a bare minus', '{"n":-,"model":"*"}', /not valid JSON/],
  ['a literal cut short', '{"n":tru,"model":"*"}', /not valid JSON/],
  ['a comment', '{/* hi */"model":"*"}', /not valid JSON/],
  ['a byte order mark', '\ufeff{"model":"*"}', /not valid JSON/],
  ['a NUL', '{"model":"*"}\0', /not valid JSON/],
  ['a list', '["*"]', /must be an object/],
  ['a string', '"*"', /must be an object/],
  ['a number', '1', /must be an object/],
  ['null', 'null', /must be an object/],
  ['ten thousand lists in each other', `{"a":${'['.repeat(LEVELS)}${']'.repeat(LEVELS)}}`, /nested deeper/],
  ['ten thousand objects in each other', `{"a":${'{"a":'.repeat(LEVELS)}1${'}'.repeat(LEVELS)}}`, /nested deeper/],
  ['ten thousand opened lists', `{"a":${'['.repeat(LEVELS)}`, /nested deeper/],
  ['a model that is a number', '{"model":1}', /model must be a text/],
  ['a model that is true', '{"model":true}', /model must be a text/],
  ['a model that is a list', '{"model":["*"]}', /model must be a text/],
  ['a model that is an object', '{"model":{"name":"*"}}', /model must be a text/],
  ['a model with a line end', '{"model":"a\\nb"}', /control characters/],
  ['a model with a NUL', '{"model":"a\\u0000"}', /control characters/],
  ['a model with a raw control character', '{"model":"a\u0001b"}', /control characters/],
  ['a model with DEL', '{"model":"a\\u007f"}', /control characters/],
  ['a model with a C1 control', '{"model":"a\\u0085b"}', /control characters/],
  ['a model with a bad escape', '{"model":"\\x41"}', /model must be a text/],
  ['a model of 201 characters', JSON.stringify({ model: 'm'.repeat(201) }), /at most 200/],
  ['a model of 100,000 characters', JSON.stringify({ model: 'm'.repeat(100_000) }), /at most 200/],
  ['two models', '{"model":"*","model":"*"}', /model must be there only once/],
  ['two models, one in escapes', '{"model":"*","mod\\u0065l":"x"}', /model must be there only once/],
]

for (const [what, body, why] of REFUSED) {
  t.test(`${what}: 400, in the shape that OpenAI clients parse`, async (t) => {
    const { chatUrl, llm } = await openKitchen(t)
    const answer = await send(t, chatUrl, body)
    t.equal(answer.status, 400)
    t.match(errorOf(answer).message, why)
    t.equal(errorOf(answer).type, 'invalid_request_error')
    t.match(errorOf(answer).code, /^PTL_INVALID_(JSON|FIELD)$/)
    t.equal(llm.requests.length, 0)
  })
}

t.test('what is just within the bounds passes', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, undefined, { participant: { model: 'm'.repeat(200) } })
  for (const body of [
    JSON.stringify({ model: 'm'.repeat(200) }),
    `{"model":"*","a":${'['.repeat(200)}${']'.repeat(200)}}`,
    '{"model":"*","n":-0.1E-2,"a":[],"b":{},"c":[{"d":[null,true,false]}]}',
  ]) {
    t.equal((await send(t, chatUrl, body)).status, 200)
  }
  t.equal(llm.requests.length, 3)
})

t.test('no body at all, not even a length: 400', async (t) => {
  const { chatUrl } = await openKitchen(t)
  const response = await fetch(chatUrl, { method: 'POST' })
  t.equal(response.status, 400)
  t.match(await response.json(), { error: { message: /not valid JSON/, type: 'invalid_request_error' } })
})

const LIMIT = { hub: { inferenceBodyLimit: 1024 } }

function tooLarge(t: Test, body: unknown): void {
  const { error } = body as { error: { message: string; type: string } }
  t.match(error.message, '1024 bytes')
  t.equal(error.type, 'invalid_request_error')
}

t.test('a body over the limit is 413', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, undefined, LIMIT)
  const answer = await send(t, chatUrl, { model: '*', text: 'x'.repeat(2048) })
  t.equal(answer.status, 413)
  tooLarge(t, JSON.parse(answer.text))
  t.equal(llm.requests.length, 0)
})

t.test('a body that says it is over the limit is 413 before it is sent', async (t) => {
  const { chatUrl } = await openKitchen(t, undefined, LIMIT)
  const { port, pathname } = new URL(chatUrl)
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  t.teardown(() => socket.destroy())
  socket.write(`POST ${pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: 1025\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 413 /)
})

t.test('a body in chunks that goes over the limit is 413, without its end', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, undefined, LIMIT)
  const { port, pathname } = new URL(chatUrl)
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  t.teardown(() => socket.destroy())
  socket.write(`POST ${pathname} HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n`)
  socket.write(`800\r\n${'x'.repeat(2048)}\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 413 /)
  t.equal(llm.requests.length, 0)
})

t.test('the limit is for inference alone, and larger than that of the rest', async (t) => {
  const { chatUrl } = await openKitchen(t, undefined, { hub: { bodyLimit: 1024 } })
  t.equal((await send(t, chatUrl, { model: '*', text: 'x'.repeat(100_000) })).status, 200)
})

for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream', 'nonsense', '']) {
  t.test(`JSON is read where the content type says "${type}"`, async (t) => {
    const { chatUrl } = await openKitchen(t)
    t.equal((await send(t, chatUrl, { model: '*' }, { 'content-type': type })).status, 200)
  })
}

t.test('a request that is refused is no event', async (t) => {
  const { chatUrl, eventsUrl } = await openKitchen(t)
  const events = await readEvents(t, eventsUrl)
  for (const body of ['', '{"model":1}', '{"model":"gpt-9"}', '[]']) await send(t, chatUrl, body)
  await send(t, chatUrl, { model: 'alice' })
  t.match((await events.next('llm:request')).data, { model: 'alice' })
  t.equal(events.frames.filter(({ event }) => event === 'llm:request' || event === 'llm:error').length, 1)
})

t.test('after a refusal the connection goes on', async (t) => {
  const { chatUrl } = await openKitchen(t)
  const { port, pathname } = new URL(chatUrl)
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  t.teardown(() => socket.destroy())
  const post = (body: string) =>
    `POST ${pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  socket.write(post('{"model":1}'))
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 400 /)
  socket.write(post('{"model":"*"}'))
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
})
