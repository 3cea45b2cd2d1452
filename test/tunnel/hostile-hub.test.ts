import { once } from 'node:events'
import { constants } from 'node:http2'
import t from 'tap'
import { until } from '../support/dispatching.ts'
import { answerNever, startFakeLlm } from '../support/fake-llm.ts'
import { openToClient, openToRaw, startRawHub } from '../support/raw-hub.ts'
import { END_HEADERS, END_STREAM, FRAME, field, frame, number } from '../support/raw-tunnel.ts'

const CHAT = { ':method': 'POST', ':path': '/v1/chat/completions' }

const headOf = (path: string) =>
  Buffer.concat([
    field(':method', 'GET'),
    field(':path', path),
    field(':scheme', 'http'),
    field(':authority', 'tunnel'),
  ])

t.test(
  'nothing but the paths of the allow-list reaches the server, and nothing but the server is reached',
  async (t) => {
    const llm = await startFakeLlm(t)
    const other = await startFakeLlm(t)
    const { ask, served } = await openToClient(t, llm.url)
    const attempts: [method: string, path: string][] = [
      ['GET', '/'],
      ['GET', '/admin'],
      ['POST', '/v1/chat/completions/../../admin'],
      ['POST', '/v1/%63hat/completions'],
      ['POST', '//v1/chat/completions'],
      ['POST', `${other.url}/v1/chat/completions`],
      ['POST', `@127.0.0.1:${other.port}/v1/chat/completions`],
      ['POST', `//127.0.0.1:${other.port}/v1/chat/completions`],
      ['PUT', '/v1/chat/completions'],
      ['OPTIONS', '*'],
      ['GET', '/v1/responses/%2e%2e'],
    ]
    for (const [method, path] of attempts) {
      const { status } = await ask({ ':method': method, ':path': path })
      // What does not begin with a slash is no request for HTTP/2 itself.
      t.equal(status, path.startsWith('/') || path === '*' ? 404 : 0, `${method} ${path}`)
    }
    const { status } = await ask({ ...CHAT, ':authority': `127.0.0.1:${other.port}`, ':scheme': 'https' }, '{}')
    t.equal(status, 200, 'who else it might be for is nothing to the tunnel')
    t.strictSame([llm.requests.length, other.requests.length], [1, 0])
    t.ok(served.slice(0, -1).every(({ outcome }) => outcome === 'refused'))
  },
)

t.test('CONNECT leads nowhere, and no protocol is changed', async (t) => {
  const llm = await startFakeLlm(t)
  const { session, tunnel } = await openToClient(t, llm.url)
  const stream = session.request({ ':method': 'CONNECT', ':authority': `127.0.0.1:${llm.port}` })
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 404)
  t.equal(session.remoteSettings.enableConnectProtocol, false)
  t.strictSame([llm.requests.length, llm.sockets.size], [0, 0])
  stream.destroy()
  tunnel.close()
})

t.test('models are changed only where the owner allowed it', async (t) => {
  const llm = await startFakeLlm(t)
  const pull = { ':method': 'POST', ':path': '/api/pull' }
  const closed = await openToClient(t, llm.url)
  t.equal((await closed.ask(pull, '{}')).status, 403)
  t.equal(llm.requests.length, 0)
  const open = await openToClient(t, llm.url, { manage: true })
  t.equal((await open.ask(pull, '{}')).status, 200)
  t.match(llm.requests, [{ path: '/api/pull' }])
})

t.test('of the hub’s headers only those that a server needs arrive; the owner’s own win and stay here', async (t) => {
  const llm = await startFakeLlm(t, ({ headers }, response) => {
    response.setHeader('set-cookie', 'a=b')
    response.setHeader('location', '/elsewhere')
    response.setHeader('x-echo', String(headers['x-api-key']))
    response.setHeader('x-potluck-tunnel-error', 'ECONNREFUSED')
    response.setHeader('content-type', 'application/json')
    response.end('{}')
  })
  const { ask } = await openToClient(t, `${llm.url}/llm/v1/`, {
    headers: { 'X-Api-Key': 'owner', 'User-Agent': 'owner', Authorization: 'Bearer owner' },
  })
  const sent = {
    authorization: 'Bearer hub',
    cookie: 'a=b',
    'x-api-key': 'hub',
    'x-forwarded-for': '10.0.0.1',
    'user-agent': 'hub',
    'content-type': 'application/json',
    expect: 'nothing',
    accept: 'text/plain',
  }
  const { status, headers } = await ask({ ...CHAT, ...sent }, '{}')
  const [{ path, headers: arrived }] = llm.requests as [(typeof llm.requests)[0]]
  t.equal(path, '/llm/v1/chat/completions')
  const { connection: _, host, 'transfer-encoding': __, ...told } = arrived
  t.equal(host, `127.0.0.1:${llm.port}`)
  t.strictSame(told, {
    accept: 'text/plain',
    'content-type': 'application/json',
    'user-agent': 'owner',
    'x-api-key': 'owner',
    authorization: 'Bearer owner',
  })
  t.equal(status, 200)
  t.strictSame(Object.keys(headers).sort(), [':status', 'content-length', 'content-type', 'date'])
})

t.test('a redirect is passed on as an answer, and not followed', async (t) => {
  const other = await startFakeLlm(t)
  const llm = await startFakeLlm(t, (_request, response) => {
    response.writeHead(307, { location: `${other.url}/v1/chat/completions` }).end()
  })
  const { ask } = await openToClient(t, llm.url)
  t.equal((await ask(CHAT, '{}')).status, 307)
  t.equal(other.requests.length, 0)
})

t.test('a request that is taken back ends at the server at once', async (t) => {
  const llm = await startFakeLlm(t, answerNever)
  const { session, served, tunnel } = await openToClient(t, llm.url)
  const stream = session.request(CHAT)
  stream.end('{}')
  stream.on('error', () => {})
  await until(() => llm.requests.length === 1, 'it is there')
  stream.close(constants.NGHTTP2_CANCEL)
  await llm.requests[0]?.closed
  await until(() => tunnel.inFlight === 0, 'nothing runs')
  t.match(served, [{ outcome: 'cancelled' }])
})

t.test('a flood of requests that are taken back ends the tunnel, not the machine', async (t) => {
  const llm = await startFakeLlm(t, answerNever)
  const { opening, raw } = await openToRaw(t, llm.url)
  const { tunnel } = await opening
  const head = Buffer.concat([
    field(':method', 'POST'),
    field(':path', '/v1/chat/completions'),
    field(':scheme', 'http'),
    field(':authority', 'tunnel'),
  ])
  for (let sent = 0; sent < 5000; sent++) {
    const stream = 2 * sent + 1
    raw.send(frame(FRAME.headers, END_HEADERS | END_STREAM, stream, head), frame(FRAME.rst, 0, stream, number(8)))
  }
  t.equal((await tunnel.closed).code, 4000)
  await until(() => llm.sockets.size === 0, 'the server is idle')
  t.ok(llm.requests.length < 5000)
  t.equal(tunnel.inFlight, 0)
})

t.test('more requests at once than the limit are refused, and those within it are not', async (t) => {
  const llm = await startFakeLlm(t, answerNever)
  const { opening, raw } = await openToRaw(t, llm.url)
  const { tunnel } = await opening
  const head = headOf('/v1/models')
  for (let sent = 0; sent < 1010; sent++) raw.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 2 * sent + 1, head))
  await until(
    () => raw.frames.filter(({ type }) => type === FRAME.rst || type === FRAME.goaway).length > 0,
    'some are refused',
    5000,
  )
  t.ok(tunnel.inFlight <= 1000)
})

t.test('a request that is taken back before it was seen, or broken off, ends nothing else', async (t) => {
  const llm = await startFakeLlm(t)
  const refused = frame(FRAME.headers, END_HEADERS | END_STREAM, 1, headOf('/nope'))
  for (const [code, ...behind] of [
    [undefined, frame(FRAME.rst, 0, 1, number(8))],
    [4000, frame(FRAME.data, 0, 0, Buffer.from('x'))],
    [4000, frame(FRAME.goaway, 0, 0, Buffer.concat([number(0), number(0)]))],
  ] as [number | undefined, ...Buffer[]][]) {
    const { opening, raw } = await openToRaw(t, llm.url)
    const { tunnel } = await opening
    raw.send(refused, ...behind)
    if (code === undefined) {
      raw.send(frame(FRAME.headers, END_HEADERS | END_STREAM, 3, headOf('/v1/models')))
      await until(() => raw.frames.some(({ type, stream }) => type === FRAME.data && stream === 3), 'the next one')
    } else await tunnel.closed
    await until(() => tunnel.inFlight === 0, 'nothing is left running')
    tunnel.close()
  }
})

t.test('trailers of the server: those that may go on as headers do, and no others', async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', trailer: 'server-timing' })
    response.write('{}')
    response.addTrailers({ connection: 'close', 'set-cookie': 'a=b', 'x-inner': '1', 'server-timing': 'all;dur=1' })
    response.end()
  })
  const { session } = await openToClient(t, llm.url)
  const stream = session.request({ ':path': '/v1/models' })
  const [trailers] = await once(stream.resume(), 'trailers')
  t.strictSame(Object.entries(trailers), [['server-timing', 'all;dur=1']])
})

const BROKEN: [what: string, send: (raw: Awaited<ReturnType<typeof openToRaw>>['raw']) => void][] = [
  ['a text message', ({ socket }) => socket.send('hello')],
  ['garbage', ({ send }) => send(Buffer.alloc(4096, 'rice'))],
  ['an answer', ({ send }) => send(frame(FRAME.headers, END_HEADERS, 2, field(':status', '200')))],
  [
    'PUSH_PROMISE',
    ({ send }) => send(frame(FRAME.push, END_HEADERS, 1, Buffer.concat([number(2), field(':path', '/x')]))),
  ],
  ['a message of a megabyte', ({ socket }) => socket.send(Buffer.alloc(1024 * 1024))],
  [
    'headers that never end',
    ({ send }) => {
      send(frame(FRAME.headers, 0, 1, field(':method', 'GET')))
      for (let sent = 0; sent < 100; sent++) send(frame(FRAME.continuation, 0, 1, field('x', 'y'.repeat(1000))))
    },
  ],
]

for (const [what, send] of BROKEN) {
  t.test(`the participant’s end closes on ${what}`, async (t) => {
    const llm = await startFakeLlm(t)
    const { opening, raw } = await openToRaw(t, llm.url)
    const { tunnel } = await opening
    send(raw)
    const { code } = await tunnel.closed
    t.ok([4000, 1009, 1006].includes(code), `${code}`)
    t.equal(llm.requests.length, 0)
  })
}

t.test('headers beyond the limit cost one request', async (t) => {
  const llm = await startFakeLlm(t)
  const { ask, session } = await openToClient(t, llm.url)
  const fields = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x-${index}`, 'y']))
  t.equal((await ask({ ...CHAT, ...fields }, '{}')).status, 0)
  t.equal((await ask(CHAT, '{}')).status, 200)
  session.destroy()
})

t.test('a hub that never speaks HTTP/2 is given up', async (t) => {
  const llm = await startFakeLlm(t)
  const { opening } = await openToRaw(t, llm.url, false, { handshakeMs: 200 })
  await t.rejects(opening, { name: 'TunnelConnectError', kind: 'blocked' })
})

t.test('a hub that says nothing any more is given up', async (t) => {
  const llm = await startFakeLlm(t)
  const { opening, raw } = await openToRaw(t, llm.url, true, { silenceMs: 400 })
  const { tunnel } = await opening
  // It neither asks nor pings, and does not even read.
  raw.socket.pause()
  t.match(await tunnel.closed, { code: 4005 })
})

t.test('a hub that closes before it speaks says why', async (t) => {
  const { hub, next } = await startRawHub(t)
  const socket = next()
  const { connectTunnel } = await import('../../src/agent/tunnel/index.ts')
  const opening = connectTunnel({ hub, code: 'KITCHEN', token: 'x', endpoint: new URL('http://127.0.0.1:1') })
  opening.catch(() => {})
  ;(await socket).close(4004, 'The room was closed')
  await t.rejects(opening, { kind: 'refused', message: 'The room was closed', code: '4004' })
})
