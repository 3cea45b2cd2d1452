import t from 'tap'
import { bareHost, type HubAddresses, parseEndpoint } from '../../plugins/access/endpoints.ts'

const HUB: HubAddresses = {
  ports: new Set([3000, 80]),
  hosts: new Set(['192.0.2.5', 'fe80::5', '2001:db8::5', 'kitchen-pc']),
}

/** Which addresses are allowed is another matter. */
const anywhere = () => true
const parse = (endpoint: string) => parseEndpoint(endpoint, HUB, anywhere)

t.test('an endpoint is an origin and a base path', async (t) => {
  t.strictSame(parse('http://192.0.2.20:11434'), { origin: 'http://192.0.2.20:11434', basePath: '' })
  t.strictSame(parse('https://llm.example/team/a'), { origin: 'https://llm.example', basePath: '/team/a' })
  t.strictSame(parse('HTTP://GPU-Box:8080/LLM'), { origin: 'http://gpu-box:8080', basePath: '/LLM' })
  t.strictSame(parse('http://[2001:db8::7]:1234'), { origin: 'http://[2001:db8::7]:1234', basePath: '' })
})

t.test('a trailing slash and a trailing /v1 are left out', async (t) => {
  for (const tail of ['', '/', '//', '/v1', '/v1/', '/v1//', '//v1']) {
    t.equal(parse(`http://h:1${tail}`).basePath, '', tail)
    t.equal(parse(`http://h:1/llm${tail}`).basePath, '/llm', `/llm${tail}`)
  }
})

t.test('what only looks like /v1 stays', async (t) => {
  for (const path of ['/v1beta', '/xv1', '/v1/openai', '/V1', '/api/v2'])
    t.equal(parse(`http://h:1${path}`).basePath, path)
})

t.test('what is no http URL is refused', async (t) => {
  const wrong = [
    '',
    ' ',
    'x',
    'localhost:11434',
    '192.0.2.20:11434',
    '//h',
    '/v1',
    'ftp://h',
    'file:///etc/passwd',
    'ws://h',
    'javascript:1',
    'data:,x',
    'unix:/run/x',
    'http://',
    'http://:80',
    'http://h:99999',
    'http://[::1',
    'http://h h',
  ]
  for (const endpoint of wrong)
    t.throws(() => parse(endpoint), { code: 'PTL_INVALID_ENDPOINT', statusCode: 400 }, endpoint)
})

t.test('credentials in it are refused: the whole room sees it', async (t) => {
  for (const endpoint of ['http://user@h', 'http://user:secret@h', 'http://:secret@h']) {
    t.throws(() => parse(endpoint), { code: 'PTL_INVALID_ENDPOINT', message: /credentials/ }, endpoint)
  }
})

t.test('a query or a fragment is refused, an empty one too', async (t) => {
  for (const tail of ['?', '#', '/?', '/#', '?key=1', '#x', '/v1?', '/v1#/']) {
    t.throws(() => parse(`http://h:1${tail}`), { code: 'PTL_INVALID_ENDPOINT', message: /\? or #/ }, tail)
  }
})

t.test('characters that the URL parser drops or turns are refused', async (t) => {
  for (const endpoint of [
    'http://h:1/a\tb',
    'http://h:1/\n',
    '\nhttp://h:1',
    ' http://h:1',
    'http://h:1 ',
    'http:\\\\h:1',
    'http://h:1\\x',
    'http://h:1/\u0000',
    'http://h:1/\u0085',
    'http://h:1/\u2028',
  ]) {
    t.throws(() => parse(endpoint), { code: 'PTL_INVALID_ENDPOINT' }, encodeURIComponent(endpoint))
  }
})

t.test('the hub itself is refused, however it is written', async (t) => {
  const loopback = [
    'localhost',
    'LOCALHOST',
    'localhost.',
    'my.localhost',
    '127.0.0.1',
    '127.1',
    '127.255.0.3',
    '0x7f.1',
    '2130706433',
    '0177.0.0.1',
    '0',
    '0.0.0.0',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ]
  const own = ['192.0.2.5', '[fe80::5]', '[FE80:0:0::5]', '[2001:db8::5]', 'kitchen-pc', 'Kitchen-PC', 'kitchen-pc.']
  for (const host of [...loopback, ...own]) {
    t.throws(() => parse(`http://${host}:3000`), { code: 'PTL_INVALID_ENDPOINT', message: /this hub/ }, host)
  }
})

t.test('so is its IPv4 address in IPv6’s clothes', async (t) => {
  for (const host of ['[::ffff:192.0.2.5]', '[::ffff:c000:205]']) {
    t.throws(() => parse(`http://${host}:3000/v1`), { code: 'PTL_INVALID_ENDPOINT', message: /this hub/ }, host)
  }
})

t.test('a port that is not written counts as its protocol’s', async (t) => {
  t.throws(() => parse('http://localhost'), { message: /this hub/ })
  t.throws(() => parse('http://localhost:80/x'), { message: /this hub/ })
  t.strictSame(parse('https://localhost'), { origin: 'https://localhost', basePath: '' })
  const secure = { ports: new Set([443]), hosts: new Set<string>() }
  t.throws(() => parseEndpoint('https://localhost', secure, anywhere), { message: /this hub/ })
})

t.test('another port of the hub’s machine is somebody else', async (t) => {
  for (const host of ['localhost', '127.0.0.1', '[::1]', '192.0.2.5', 'kitchen-pc']) {
    t.equal(parse(`http://${host}:11434`).origin, `http://${host}:11434`)
  }
})

t.test('another machine with the hub’s port is somebody else', async (t) => {
  for (const host of ['192.0.2.6', '[fe80::6]', 'kitchen', 'notlocalhost', '128.0.0.1']) {
    t.equal(parse(`http://${host}:3000`).origin, `http://${host}:3000`)
  }
})

t.test('a bare host is lower case, without brackets and the last dot', async (t) => {
  t.strictSame(['[FE80::1]', 'Host.', 'a.b', '::1'].map(bareHost), ['fe80::1', 'host', 'a.b', '::1'])
})
