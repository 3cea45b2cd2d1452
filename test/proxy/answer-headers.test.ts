import type { OutgoingHttpHeaders } from 'node:http'
import t, { type Test } from 'tap'
import { send, type WholeAnswer } from '../support/chat.ts'
import { openKitchen, openRoomFor } from '../support/kitchen.ts'
import { startRawLlm } from '../support/raw-llm.ts'

const CHAT = { model: '*', messages: [] }

async function answerWith(t: Test, headers: OutgoingHttpHeaders, status = 200) {
  const { chatUrl } = await openKitchen(t, (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{}')
  })
  return send(t, chatUrl, CHAT, { origin: 'http://dashboard.test' })
}

/** Each of these says the same in every header, so one look finds it wherever it went. */
function tells(answer: WholeAnswer, word: string): boolean {
  return JSON.stringify(answer.headers).includes(word)
}

const USEFUL = {
  'retry-after': '7',
  'retry-after-ms': '7000',
  'x-request-id': 'req_123',
  'x-ratelimit-limit-requests': '60',
  'x-ratelimit-remaining-tokens': '149984',
  'x-ratelimit-reset-requests': '1s',
  'openai-processing-ms': '12',
  'cache-control': 'no-store',
}

t.test('headers that a client acts on pass on', async (t) => {
  const { headers } = await answerWith(t, USEFUL, 429)
  for (const [name, value] of Object.entries(USEFUL)) t.equal(headers[name], value, name)
})

const SIDE_EFFECTS = [
  'set-cookie',
  'set-cookie2',
  'location',
  'refresh',
  'link',
  'content-location',
  'content-security-policy',
  'content-security-policy-report-only',
  'permissions-policy',
  'referrer-policy',
  'strict-transport-security',
  'clear-site-data',
  'alt-svc',
  'service-worker-allowed',
  'x-frame-options',
  'report-to',
  'nel',
  'sourcemap',
  'www-authenticate',
  'proxy-authenticate',
  'authorization',
  'x-api-key',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-expose-headers',
  'x-powered-by',
  'server',
  'via',
] as const

t.test('headers that act on the browser or tell about the machine stay behind', async (t) => {
  const headers = Object.fromEntries(SIDE_EFFECTS.map((name) => [name, 'https://sesame.test/']))
  t.notOk(tells(await answerWith(t, headers), 'sesame'))
})

t.test('several cookies stay behind as well', async (t) => {
  const { headers } = await answerWith(t, { 'set-cookie': ['a=1; Path=/', 'b=2; HttpOnly'] })
  t.notOk('set-cookie' in headers)
})

t.test("the hub's CORS headers stand, not the participant's", async (t) => {
  const { headers } = await answerWith(t, { 'access-control-allow-origin': 'https://evil.test' })
  t.equal(headers['access-control-allow-origin'], '*')
})

t.test('a participant cannot pass as another by the headers of the hub', async (t) => {
  const forged = { 'x-potluck-participant': 'bob', 'x-potluck-attempts': '99', 'x-potluck-forged': 'yes' }
  const { headers } = await answerWith(t, forged)
  t.equal(headers['x-potluck-participant'], 'alice')
  t.equal(headers['x-potluck-attempts'], '1')
  t.notOk('x-potluck-forged' in headers)
})

t.test('a browser runs no answer as a page of the hub and guesses no type', async (t) => {
  const { headers } = await answerWith(t, { 'content-type': 'text/html', 'x-content-type-options': 'none' })
  t.equal(headers['content-type'], 'text/html')
  t.equal(headers['content-security-policy'], 'sandbox')
  t.equal(headers['x-content-type-options'], 'nosniff')
})

t.test('hop-by-hop headers end at the hub, those that Connection names too (RFC 9110 §7.6.1)', async (t) => {
  const llm = await startRawLlm(t, (socket) => {
    const hop =
      'Connection: close, X-Hop\r\nX-Hop: sesame\r\nKeep-Alive: timeout=sesame\r\nProxy-Connection: sesame\r\n'
    socket.end(`HTTP/1.1 200 OK\r\n${hop}Upgrade: sesame\r\nTrailer: sesame\r\nContent-Length: 2\r\n\r\n{}`)
  })
  const { chatUrl } = await openRoomFor(t, llm.url)
  const answer = await send(t, chatUrl, CHAT, { connection: 'keep-alive' })
  t.equal(answer.text, '{}')
  t.notOk(tells(answer, 'sesame'))
})

t.test("the connection to the client is not the participant's to close", async (t) => {
  const llm = await startRawLlm(t, (socket) => {
    socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}')
  })
  const { chatUrl } = await openRoomFor(t, llm.url)
  const { headers } = await send(t, chatUrl, CHAT, { connection: 'keep-alive' })
  t.equal(headers.connection, 'keep-alive')
})
