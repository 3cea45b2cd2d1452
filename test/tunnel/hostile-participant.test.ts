import { once } from 'node:events'
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { TUNNEL_LIMITS, TUNNEL_PROTOCOL } from '../../schemas/tunnel.ts'
import { until } from '../support/dispatching.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { type Answer, call, openRoom, startHub } from '../support/hub.ts'
import {
  END_HEADERS,
  END_STREAM,
  FRAME,
  field,
  frame,
  number,
  type RawParticipant,
  startRawParticipant,
} from '../support/raw-tunnel.ts'
import { readEvents } from '../support/sse.ts'
import { joinByTunnel, joinTunnelled, untilStatus } from '../support/tunnels.ts'

interface Attack {
  what: string
  /** @param stream of the request that runs */
  attack(raw: RawParticipant, stream: number): void
  /** Whether the whole tunnel is closed for it, or the one request fails. */
  costs: 'tunnel' | 'request'
}

const repeat = (count: number, of: (index: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => of(i)))
const head = (stream: number, ...fields: [string, string][]) =>
  frame(FRAME.headers, END_HEADERS, stream, Buffer.concat(fields.map(([name, value]) => field(name, value))))

const ATTACKS: Attack[] = [
  { what: 'a text message', attack: ({ socket }) => socket.send('hello'), costs: 'tunnel' },
  { what: 'a message of a megabyte', attack: ({ socket }) => socket.send(Buffer.alloc(1024 * 1024)), costs: 'tunnel' },
  {
    what: 'a message in a thousand pieces',
    attack: ({ socket }) => {
      for (let sent = 0; sent < 1000; sent++) socket.send(Buffer.alloc(1), { fin: false })
    },
    costs: 'tunnel',
  },
  { what: 'garbage', attack: ({ send }) => send(Buffer.alloc(4096, 'rice')), costs: 'tunnel' },
  {
    what: 'a flood of SETTINGS',
    attack: ({ send }) => send(repeat(2000, () => frame(FRAME.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 1])))),
    costs: 'tunnel',
  },
  {
    what: 'a flood of PINGs of HTTP/2',
    attack: ({ send }) => send(repeat(2000, () => frame(FRAME.ping, 0, 0, Buffer.alloc(8)))),
    costs: 'tunnel',
  },
  {
    what: 'a flood of pings of the WebSocket',
    attack: ({ socket }) => {
      for (let sent = 0; sent < 1000; sent++) socket.ping()
    },
    costs: 'tunnel',
  },
  {
    what: 'a flood of pongs',
    attack: ({ socket }) => {
      for (let sent = 0; sent < 1000; sent++) socket.pong()
    },
    costs: 'tunnel',
  },
  {
    what: 'PUSH_PROMISE',
    attack: ({ send }, stream) =>
      send(frame(FRAME.push, END_HEADERS, stream, Buffer.concat([number(2), field(':path', '/x')]))),
    costs: 'tunnel',
  },
  {
    what: 'an answer on a stream that nobody opened',
    attack: ({ send }) => send(head(9, [':status', '200'])),
    costs: 'tunnel',
  },
  { what: 'a stream of its own', attack: ({ send }) => send(head(2, [':status', '200'])), costs: 'tunnel' },
  {
    what: 'the end of a stream that nobody opened',
    attack: ({ send }) => send(frame(FRAME.rst, 0, 9, number(8))),
    costs: 'tunnel',
  },
  {
    what: 'a window that overflows',
    attack: ({ send }) =>
      send(frame(FRAME.window, 0, 0, number(0x7fffffff)), frame(FRAME.window, 0, 0, number(0x7fffffff))),
    costs: 'tunnel',
  },
  {
    what: 'headers that never end',
    attack: ({ send }, stream) => {
      send(frame(FRAME.headers, 0, stream, field(':status', '200')))
      for (let sent = 0; sent < 100; sent++) send(frame(FRAME.continuation, 0, stream, field('x', 'y'.repeat(1000))))
    },
    costs: 'tunnel',
  },
  {
    what: 'GOAWAY with an error',
    attack: ({ send }) => send(frame(FRAME.goaway, 0, 0, Buffer.concat([number(0), number(2)]))),
    costs: 'tunnel',
  },
  {
    what: 'GOAWAY before the request that runs',
    attack: ({ send }) => send(frame(FRAME.goaway, 0, 0, Buffer.concat([number(0), number(0)]))),
    costs: 'tunnel',
  },
  {
    what: 'headers beyond the limit',
    attack: ({ send }, stream) =>
      send(
        frame(FRAME.headers, 0, stream, Buffer.concat([field(':status', '200'), field('x', 'y'.repeat(15_000))])),
        frame(FRAME.continuation, 0, stream, field('y', 'y'.repeat(15_000))),
        frame(FRAME.continuation, END_HEADERS, stream, field('z', 'y'.repeat(15_000))),
      ),
    costs: 'request',
  },
  {
    what: 'too many headers',
    attack: ({ send }, stream) => send(head(stream, [':status', '200'], ...headers(300, 'y'))),
    costs: 'request',
  },
  {
    what: 'a status that is none',
    attack: ({ send }, stream) => send(head(stream, [':status', 'rice'])),
    costs: 'request',
  },
  { what: 'no status', attack: ({ send }, stream) => send(head(stream, ['x', 'y'])), costs: 'request' },
  {
    what: 'a header of one connection',
    attack: ({ send }, stream) => send(head(stream, [':status', '200'], ['connection', 'close'])),
    costs: 'request',
  },
  {
    what: 'a body without a head',
    attack: ({ send }, stream) => send(frame(FRAME.data, END_STREAM, stream, Buffer.from('x'))),
    costs: 'tunnel',
  },
  { what: 'a reset', attack: ({ send }, stream) => send(frame(FRAME.rst, 0, stream, number(2))), costs: 'request' },
  { what: 'a refusal', attack: ({ send }, stream) => send(frame(FRAME.rst, 0, stream, number(7))), costs: 'request' },
  {
    what: 'the claim that it never was asked',
    attack: ({ send }, stream) => send(frame(FRAME.rst, 0, stream, number(0))),
    costs: 'request',
  },
  {
    what: 'an error of its server with a name of its own',
    attack: ({ send }, stream) => send(head(stream, [':status', '502'], ['x-potluck-tunnel-error', 'rm -rf'])),
    costs: 'request',
  },
  {
    what: 'another length than it said',
    attack: ({ send }, stream) =>
      send(
        head(stream, [':status', '200'], ['content-length', '5']),
        frame(FRAME.data, END_STREAM, stream, Buffer.from('x')),
      ),
    costs: 'request',
  },
]

function headers(count: number, value: string): [string, string][] {
  return Array.from({ length: count }, (_, index) => [`x-${index}`, value])
}

/** A hub with a participant that does what the test says, and one who only wants to cook. */
async function setUp(t: Test) {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url, hub } = await startHub(t, { maxAttempts: 1 })
  const { room } = await openRoom(url)
  const ask = (model: string) => call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model, messages: [] })
  await joinByTunnel(t, url, room.code, llm.url, { id: 'bob', model: 'beans' })
  return { url, hub, code: room.code, ask }
}

/** A request that has reached the raw participant, and its stream. */
async function startAsked(raw: RawParticipant, ask: () => Promise<Answer>) {
  const before = raw.frames.findLast(({ type }) => type === FRAME.headers)?.stream ?? 0
  // One that had begun is broken off.
  const answer = ask().then(
    ({ status }) => status,
    () => 502,
  )
  const latest = () => raw.frames.findLast(({ type }) => type === FRAME.headers)?.stream ?? 0
  await until(() => latest() > before, 'the request is there')
  return { answer, stream: latest() }
}

t.test('whatever a participant sends, it costs nobody but itself', async (t) => {
  const { url, code, ask } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  for (const { what, attack, costs } of ATTACKS) {
    const raw = await startRawParticipant(t, url, code, token)
    raw.speak()
    await untilStatus(url, code, 'alice', (status) => status === 'online')
    const { answer, stream } = await startAsked(raw, () => ask('alice'))
    attack(raw, stream)
    t.equal(await answer, 502, `${what}: its request fails`)
    t.equal((await ask('beans')).status, 200, `${what}: others are served`)
    if (costs === 'tunnel') {
      await raw.closed
      await untilStatus(url, code, 'alice', (status) => status === 'offline')
    } else {
      const next = await startAsked(raw, () => ask('alice'))
      raw.send(head(next.stream, [':status', '200']), frame(FRAME.data, END_STREAM, next.stream, Buffer.from('{}')))
      t.equal(await next.answer, 200, `${what}: its tunnel stands`)
      raw.socket.terminate()
      await untilStatus(url, code, 'alice', (status) => status === 'offline')
    }
  }
})

t.test('more of an answer than its window takes, while its client reads nothing, closes the tunnel', async (t) => {
  const { url, code, ask } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  const outgoing = request(`${url}/rooms/${code}/v1/chat/completions`, { method: 'POST' })
  t.teardown(() => outgoing.destroy())
  // Who listens and does not read: without a listener Node would read for it.
  outgoing.on('response', () => {}).on('error', () => {})
  outgoing.end(JSON.stringify({ model: 'alice', messages: [] }))
  await until(() => raw.frames.some(({ type }) => type === FRAME.headers), 'the request is there')
  const stream = raw.frames.findLast(({ type }) => type === FRAME.headers)!.stream
  raw.answer(stream)
  const piece = frame(FRAME.data, 0, stream, Buffer.alloc(16_000))
  // More than the buffers of all connections on the way hold.
  for (let sent = 0; sent < 2000; sent++) raw.send(piece)
  await raw.closed
  await untilStatus(url, code, 'alice', (status) => status === 'offline')
  t.equal((await ask('beans')).status, 200, 'others are served')
})

t.test('a participant that never speaks is never online, and may not have many such tunnels', async (t) => {
  const { url, code } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  for (let opened = 0; opened < 3; opened++) await startRawParticipant(t, url, code, token)
  const headers = { authorization: `Bearer ${token}` }
  const fourth = new WebSocket(`${url.replace('http', 'ws')}/rooms/${code}/tunnel`, [TUNNEL_PROTOCOL], { headers })
  fourth.on('error', () => {})
  const [, response] = await once(fourth, 'unexpected-response')
  t.equal(response.statusCode, 503)
  fourth.terminate()
  const { body } = await call('GET', `${url}/rooms/${code}/participants`)
  t.match(body, {
    participants: [
      { id: 'bob', status: 'online' },
      { id: 'alice', status: 'offline' },
    ],
  })
})

t.test('a participant that reads nothing holds up no more than the backlog', async (t) => {
  const { url, code, ask, hub } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  // As if it could take any number of bytes.
  raw.send(frame(FRAME.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), number(0x7fffffff)])))
  raw.send(frame(FRAME.window, 0, 0, number(0x7fff0000)))
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  raw.socket.pause()
  const app = await hub.app
  const record = await app.roomStore.getParticipant((await app.roomStore.findRoom(code))!.room.id, 'alice')
  // One for all of them, so that what grows is copies of it.
  const body = Buffer.alloc(8 * 1024 * 1024)
  const before = process.memoryUsage().external
  const abort = new AbortController()
  const asked = {
    origin: record.target.origin,
    path: '/v1/chat/completions',
    method: 'POST',
    body,
    signal: abort.signal,
  }
  const requests = Array.from({ length: 50 }, () =>
    app.tunnel
      .dispatcherFor(record)
      .request(asked as never)
      .catch(() => {}),
  )
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.equal((await ask('beans')).status, 200, 'others are served')
  const grown = process.memoryUsage().external - before
  t.ok(grown < 8 * TUNNEL_LIMITS.backlogBytes, `${grown} bytes`)
  abort.abort()
  await Promise.all(requests)
  t.equal((await ask('beans')).status, 200)
})

t.test('who goes with the last byte that was announced has not given up', async (t) => {
  const { url, code } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  const events = await readEvents(t, `${url}/rooms/${code}/events`)
  const outgoing = request(`${url}/rooms/${code}/v1/chat/completions`, { method: 'POST', agent: false })
  outgoing.end(JSON.stringify({ model: 'alice', messages: [] }))
  await until(() => raw.frames.some(({ type }) => type === FRAME.headers), 'the request is there')
  const { stream } = raw.frames.find(({ type }) => type === FRAME.headers) as { stream: number }
  raw.send(head(stream, [':status', '200'], ['content-length', '2']), frame(FRAME.data, 0, stream, Buffer.from('{}')))
  const [response] = await once(outgoing, 'response')
  await once(response, 'data')
  outgoing.destroy()
  t.match((await events.next('llm:complete')).data, { participantId: 'alice' })
})

t.test('an answer cut short is broken off, though its reset calls itself no error', async (t) => {
  const { url, code, ask } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  const events = await readEvents(t, `${url}/rooms/${code}/events`)
  const { answer, stream } = await startAsked(raw, () => ask('alice'))
  raw.send(
    head(stream, [':status', '200'], ['content-length', '5']),
    frame(FRAME.data, 0, stream, Buffer.from('x')),
    frame(FRAME.rst, 0, stream, number(0)),
  )
  t.match((await events.next('llm:error')).data, { participantId: 'alice', stage: 'stream' })
  t.equal(await answer, 502)
})

t.test('a line end in a header ends no line of the hub’s', async (t) => {
  const { url, code } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  const answer = fetch(`${url}/rooms/${code}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'alice', messages: [] }),
  })
  await until(() => raw.frames.some(({ type }) => type === FRAME.headers), 'the request is there')
  const stream = raw.frames.findLast(({ type }) => type === FRAME.headers)!.stream
  raw.send(head(stream, [':status', '200'], ['x-request-id', 'a\r\nset-cookie: b']))
  raw.send(frame(FRAME.data, END_STREAM, stream, Buffer.from('{}')))
  const { status, headers } = await answer
  t.strictSame([status, headers.get('set-cookie'), headers.get('x-request-id')], [200, null, null])
})

t.test('a second answer behind the first is nobody’s', async (t) => {
  const { url, code, ask } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token)
  raw.speak()
  await untilStatus(url, code, 'alice', (status) => status === 'online')
  const { answer, stream } = await startAsked(raw, () => ask('alice'))
  const whole = [head(stream, [':status', '200']), frame(FRAME.data, END_STREAM, stream, Buffer.from('{}'))]
  raw.send(...whole, ...whole)
  t.equal(await answer, 200)
  t.equal((await ask('beans')).status, 200)
})
