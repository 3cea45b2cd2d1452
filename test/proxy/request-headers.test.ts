import t from 'tap'
import { send } from '../support/chat.ts'
import { openKitchen } from '../support/kitchen.ts'

const CHAT = { model: '*', messages: [] }

const STAYS = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'openai-organization',
  'openai-project',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  'x-real-ip',
  'forwarded',
  'cf-connecting-ip',
  'true-client-ip',
  'origin',
  'referer',
  'sec-fetch-site',
  'x-csrf-token',
  'x-potluck-token',
  'proxy-connection',
  'x-unheard-of',
] as const

t.test("credentials, addresses and whatever else is the client's own never reach the participant", async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const { status } = await send(t, chatUrl, CHAT, Object.fromEntries(STAYS.map((name) => [name, 'sesame'])))
  t.equal(status, 200)
  t.notOk(JSON.stringify(llm.requests[0]!.headers).includes('sesame'))
})

const GOES = {
  accept: 'text/event-stream',
  'accept-language': 'de',
  'idempotency-key': 'once',
  'openai-beta': 'assistants=v2',
  'user-agent': 'a-client/1.0',
  'x-request-id': 'my-trace',
}

t.test('what the participant needs to answer goes on', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, chatUrl, CHAT, GOES)
  const { headers } = llm.requests[0]!
  for (const [name, value] of Object.entries(GOES)) t.equal(headers[name], value, name)
})

t.test('the participant is told that it is JSON, whatever the client called it', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, chatUrl, CHAT, { 'content-type': 'application/x-www-form-urlencoded' })
  t.match(llm.requests[0]!.headers['content-type'], /^application\/json\b/)
})

t.test('hop-by-hop headers end at the hub, those that Connection names too (RFC 9110 §7.6.1)', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const hop = {
    connection: 'keep-alive, user-agent, x-hop',
    'x-hop': 'sesame',
    te: 'trailers',
    'keep-alive': 'max=sesame',
  }
  await send(t, chatUrl, CHAT, hop)
  const { headers } = llm.requests[0]!
  t.notOk(headers.te)
  t.notOk(JSON.stringify(headers).includes('sesame'))
})

t.test("Host is the participant's own, and the length that of the body that goes on", async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, chatUrl, CHAT, { host: 'hub.sesame.test' })
  const { headers, body } = llm.requests[0]!
  t.equal(headers.host, `127.0.0.1:${llm.port}`)
  t.equal(headers['content-length'], String(body.length))
})

t.test('answers are asked for as they are, so that they can be metered', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, chatUrl, CHAT, { 'accept-encoding': 'gzip, br' })
  t.notOk(llm.requests[0]!.headers['accept-encoding'])
})

t.test('each hub adds itself to Via (RFC 9110 §7.6.3)', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, chatUrl, CHAT, { via: '1.1 other-proxy' })
  t.match(llm.requests[0]!.headers.via, /^1\.1 other-proxy, 1\.1 \S+$/)
})

t.test('the query stays in the hub: keys are sent there too', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  await send(t, `${chatUrl}?api_key=sesame`, CHAT)
  t.equal(llm.requests[0]!.path, '/v1/chat/completions')
})

t.test('a header with bytes beyond ASCII breaks nothing', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const { status } = await send(t, chatUrl, CHAT, { 'user-agent': 'Pot\u00e9e/1.0' })
  t.equal(status, 200)
  t.equal(llm.requests[0]!.headers['user-agent'], 'Pot\u00e9e/1.0')
})
