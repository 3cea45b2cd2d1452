import { once } from 'node:events'
import { createServer as createHttpServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { connectTunnel, type TunnelConnectError } from '../../src/agent/tunnel/index.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { dial } from '../support/raw-client.ts'
import { readEvents } from '../support/sse.ts'
import { joinByTunnel, joinTunnelled, openTunnel } from '../support/tunnels.ts'
import { eventually } from '../support/wire.ts'

async function setUp(t: Test) {
  const { url, hub } = await startHub(t)
  const opened = await openRoom(url)
  return { url, hub, code: opened.room.code, base: `${url}/rooms/${opened.room.code}`, ...opened }
}

const WEB_SOCKET = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'eHh4eHh4eHh4eHh4eHh4eA==',
  'sec-websocket-protocol': 'potluck.tunnel.v1',
}

/** One request to upgrade, and how it is answered. */
async function upgrade(url: string, headers: Record<string, string>) {
  const outgoing = request(url, { agent: false, headers })
  outgoing.end()
  const answer = await Promise.race([once(outgoing, 'response'), once(outgoing, 'upgrade')])
  const response = answer[0] as IncomingMessage
  let text = ''
  if (response.statusCode !== 101) for await (const chunk of response) text += String(chunk)
  outgoing.destroy()
  const error = text === '' ? '' : (JSON.parse(text) as { error: string }).error
  return { status: response.statusCode, error, headers: response.headers }
}

t.test('the room sees it join, offline, and come online with its tunnel', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code, base } = await setUp(t)
  const events = await readEvents(t, `${base}/events`)
  await joinByTunnel(t, url, code, llm.url)
  t.match(await events.next('participant:joined'), {
    data: { id: 'alice', status: 'offline', endpoint: 'tunnel:alice' },
  })
  t.match(await events.next('participant:online'), { data: { id: 'alice', status: 'online' } })
  t.notMatch(events.frames, [{ event: 'participant:offline' }])
})

t.test('what is refused is refused before there is a WebSocket, with a status and a sentence', async (t) => {
  const { url, code, base, hostToken } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const direct = await join(url, code, { id: 'bob' })
  const bearer = (of: string) => ({ authorization: `Bearer ${of}` })
  const withOther = (changed: Record<string, string>) => ({ ...WEB_SOCKET, ...bearer(token), ...changed })
  const refusals: [string, string, Record<string, string>, number, RegExp][] = [
    ['no such room', `${url}/rooms/NOSUCH/tunnel`, withOther({}), 404, /^Room not found$/],
    ['no token', `${base}/tunnel`, WEB_SOCKET, 401, /participant's token/],
    ['an unknown token', `${base}/tunnel`, withOther(bearer('nobody')), 401, /participant's token/],
    ["the host's token", `${base}/tunnel`, withOther(bearer(hostToken)), 403, /token of its participant/],
    [
      'a participant with an endpoint',
      `${base}/tunnel`,
      withOther(bearer(direct.token)),
      409,
      /join anew with `tunnel/,
    ],
    [
      'another version',
      `${base}/tunnel`,
      withOther({ 'sec-websocket-protocol': 'potluck.tunnel.v9' }),
      426,
      /update potluck/,
    ],
    ['a WebSocket of long ago', `${base}/tunnel`, withOther({ 'sec-websocket-version': '8' }), 426, /proxy in between/],
    ['no key', `${base}/tunnel`, withOther({ 'sec-websocket-key': 'short' }), 426, /proxy in between/],
    ['another protocol', `${base}/tunnel`, withOther({ upgrade: 'h2c' }), 426, /proxy in between/],
  ]
  for (const [what, at, headers, status, sentence] of refusals) {
    const answer = await upgrade(at, headers)
    t.equal(answer.status, status, what)
    t.match(answer.error, sentence, what)
  }
  const plain = await fetch(`${base}/tunnel`, { headers: bearer(token) })
  t.equal(plain.status, 426)
  t.equal(plain.headers.get('x-potluck-tunnel'), 'potluck.tunnel.v1')
  t.equal((await upgrade(`${base}/tunnel`, withOther({}))).status, 101, 'and nothing else was missing')
})

t.test('a room with a password needs none for the tunnel of who has joined', async (t) => {
  const llm = await startFakeLlm(t)
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Locked', password: 'sesame' })
  const { token } = await joinTunnelled(url, room.code, { id: 'bob', password: 'sesame' })
  t.equal((await openTunnel(t, url, room.code, { token, endpoint: llm.url })).tunnel.inFlight, 0)
})

t.test('a join has an endpoint or a tunnel, and not both', async (t) => {
  const { base } = await setUp(t)
  const entry = { id: 'alice', nickname: 'Alice', model: 'm' }
  const attempts: [object, RegExp][] = [
    [{ tunnel: true, endpoint: 'http://127.0.0.1:1' }, /exclude each other/],
    [{ tunnel: true, liveness: 'probe' }, /liveness has no place/],
    [{ tunnel: false }, /^Missing required fields/],
    [{}, /^Missing required fields/],
    [{ endpoint: ' ' }, /^Missing required fields/],
    [{ tunnel: 'yes' }, /tunnel must be/],
  ]
  for (const [more, sentence] of attempts) {
    const { status, body } = await call('POST', `${base}/join`, { ...entry, ...more })
    t.equal(status, 400, JSON.stringify(more))
    t.match(body.error, sentence)
  }
  t.equal((await call('POST', `${base}/join`, { ...entry, tunnel: true, endpoint: '' })).status, 201, 'empty is absent')
})

t.test('other requests that want to be another protocol are answered as they are', async (t) => {
  const { base } = await setUp(t)
  const answer = await upgrade(`${base}/v1/models`, { ...WEB_SOCKET, upgrade: 'h2c' })
  t.equal(answer.status, 200)
})

t.test('an upgrade behind a request that has no answer yet closes the connection, and nothing else', async (t) => {
  const { url, code } = await setUp(t)
  const fields = Object.entries({ host: 'hub', ...WEB_SOCKET }).map(([name, value]) => `${name}: ${value}\r\n`)
  const asked = '{"name":"Behind"}'
  for (const first of [
    'GET /health HTTP/1.1\r\nhost: hub\r\n\r\n',
    `POST /rooms HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: ${asked.length}\r\n\r\n${asked}`,
    `GET /rooms/${code}/events HTTP/1.1\r\nhost: hub\r\n\r\n`,
  ]) {
    const client = dial(Number(new URL(url).port))
    client.say(`${first}GET /rooms/${code}/tunnel HTTP/1.1\r\n${fields.join('')}\r\n`)
    await eventually(() => client.isCut, 'the connection is closed')
    t.notMatch(client.heard(), '101 ')
    t.equal((await call('GET', `${url}/health`)).status, 200)
  }
})

t.test('the participant’s end tells what kept it from opening', async (t) => {
  const { url, code } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const endpoint = new URL('http://127.0.0.1:1')
  const failure = async (over: Partial<Parameters<typeof connectTunnel>[0]>): Promise<TunnelConnectError> => {
    const opening = connectTunnel({ hub: new URL(url), code, token, endpoint, ...over })
    return opening.then(
      () => t.fail('it opened') as never,
      (error: TunnelConnectError) => error,
    )
  }
  t.match(await failure({ hub: new URL('http://127.0.0.1:1') }), { kind: 'unreachable', code: 'ECONNREFUSED' })
  t.match(await failure({ code: 'NOSUCH' }), { kind: 'refused', status: 404, message: 'Room not found' })
  t.match(await failure({ token: 'nobody' }), { kind: 'refused', status: 401 })
  t.match(await failure({ signal: AbortSignal.abort(new Error('never mind')) }), { message: 'never mind' })
})

/** A proxy that lets only plain HTTP through, each by its own way of breaking WebSockets. */
async function startProxy(t: Test, target: string, change: (head: string) => string | undefined) {
  const server = createServer((near) => {
    near.on('error', () => {})
    near.once('data', (bytes) => {
      const head = change(String(bytes))
      if (head === undefined) {
        near.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!')
        return
      }
      const far = connect(Number(new URL(target).port), '127.0.0.1')
      far.on('error', () => {})
      far.write(head)
      far.pipe(near).pipe(far)
      near.once('close', () => far.destroy())
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

t.test('a proxy in between that breaks WebSockets is told from a hub that refuses', async (t) => {
  const { url, code } = await setUp(t)
  const { token } = await joinTunnelled(url, code)
  const strips = await startProxy(t, url, (head) =>
    head.replace(/^(?:upgrade|connection|sec-websocket-\S+):.*\r\n/gim, ''),
  )
  const answers = await startProxy(t, url, () => undefined)
  const kindBy = async (hub: URL) => {
    const opening = connectTunnel({ hub, code, token, endpoint: new URL('http://127.0.0.1:1') })
    return opening.then(
      () => 'opened',
      (error: TunnelConnectError) => error.kind,
    )
  }
  t.equal(await kindBy(strips), 'blocked')
  t.equal(await kindBy(answers), 'blocked')
  const newer = createHttpServer((_request, response) => {
    response.writeHead(426, { 'x-potluck-tunnel': 'potluck.tunnel.v2' }).end('{"error":"update potluck"}')
  }).listen(0, '127.0.0.1')
  await once(newer, 'listening')
  t.teardown(() => newer.close())
  t.equal(await kindBy(new URL(`http://127.0.0.1:${(newer.address() as AddressInfo).port}`)), 'version')
})
