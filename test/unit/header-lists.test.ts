import type { IncomingHttpHeaders } from 'node:http'
import t from 'tap'
import { clientHeaders, objectOf, upstreamHeaders } from '../../plugins/ollama-proxy/headers.ts'
import { POTLUCK_HEADERS, REQUEST_HEADERS, RESPONSE_HEADERS } from '../../schemas/headers.ts'

const VIA = '1.1 potluck-1'

const PRIVATE: IncomingHttpHeaders = {
  authorization: 'Bearer secret',
  'proxy-authorization': 'Basic secret',
  'x-api-key': 'secret',
  'api-key': 'secret',
  cookie: 'session=secret',
  'set-cookie': ['session=secret'],
  'x-forwarded-for': '10.0.0.1',
  forwarded: 'for=10.0.0.1',
  'x-real-ip': '10.0.0.1',
  referer: 'http://hub/rooms/SECRET',
  origin: 'http://hub',
}

/** RFC 9110 §7.6.1, and what else is about one connection only. */
const HOP_BY_HOP: IncomingHttpHeaders = {
  connection: 'keep-alive, x-named',
  'keep-alive': 'timeout=5',
  te: 'trailers',
  trailer: 'x-named',
  'transfer-encoding': 'chunked',
  upgrade: 'websocket',
  'proxy-connection': 'keep-alive',
  expect: '100-continue',
  host: 'hub:3000',
  'content-length': '12',
  'accept-encoding': 'gzip',
  'x-named': 'x',
}

t.test('of a request’s headers only those on the list go to the participant', async (t) => {
  const kept = Object.fromEntries([...REQUEST_HEADERS].map((name) => [name, `value of ${name}`]))
  t.strictSame(upstreamHeaders({ ...PRIVATE, ...HOP_BY_HOP, ...kept }, VIA), { ...kept, via: VIA })
})

t.test('a request without headers brings none but the hub’s own', async (t) => {
  t.strictSame(upstreamHeaders({}, VIA), { via: VIA })
})

t.test('the hub adds itself behind those who came before', async (t) => {
  t.equal(upstreamHeaders({ via: '1.1 nginx, 1.1 potluck-0' }, VIA).via, '1.1 nginx, 1.1 potluck-0, 1.1 potluck-1')
})

t.test('no credential and no header of one connection stands on the list', async (t) => {
  for (const name of Object.keys({ ...PRIVATE, ...HOP_BY_HOP })) t.notOk(REQUEST_HEADERS.has(name), name)
})

t.test('of an answer’s headers only those on the list reach the client', async (t) => {
  const kept = Object.fromEntries([...RESPONSE_HEADERS].map((name) => [name, `value of ${name}`]))
  const { 'content-length': _, ...connection } = HOP_BY_HOP
  const policies = {
    location: 'http://elsewhere',
    'access-control-allow-origin': 'http://evil',
    'content-security-policy': "default-src 'none'",
    'strict-transport-security': 'max-age=1',
    'clear-site-data': '"*"',
    'x-potluck-participant': 'forged',
    server: 'x',
    link: '</x>; rel=preload',
    refresh: '0; url=http://evil',
    'alt-svc': 'h2="evil:443"',
  }
  t.strictSame(objectOf(clientHeaders({ ...PRIVATE, ...connection, ...policies, ...kept })), kept)
})

t.test('a provider’s rate limits reach the client', async (t) => {
  const limits = {
    'x-ratelimit-remaining-requests': '9',
    'anthropic-ratelimit-tokens-reset': 'soon',
    'retry-after': '1',
  }
  t.strictSame(objectOf(clientHeaders({ ...limits, 'x-rate': '1', 'my-x-ratelimit-x': '1' })), limits)
})

t.test('a header that came several times goes on so', async (t) => {
  t.strictSame(clientHeaders({ 'server-timing': ['a', 'b'] } as unknown as IncomingHttpHeaders), [
    'server-timing',
    ['a', 'b'],
  ])
})

t.test('where the answer is another one its length stays behind', async (t) => {
  t.strictSame(clientHeaders({ 'content-type': 'text/event-stream', 'content-length': '12' }, false), [
    'content-type',
    'text/event-stream',
  ])
})

t.test('no header of the hub’s own is one that a participant may set', async (t) => {
  const own = [
    ...Object.values(POTLUCK_HEADERS),
    'content-security-policy',
    'x-content-type-options',
    'x-accel-buffering',
  ]
  t.strictSame(clientHeaders(Object.fromEntries(own.map((name) => [name, 'forged']))), [])
})
