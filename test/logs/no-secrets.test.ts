import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import { answerBrokenStream, answerPlain, answerStream, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, type ManagedRoom, manageRoom } from '../support/managed.ts'
import { findSecrets, keepLog } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { eventually, send } from '../support/wire.ts'

/** One of each that must never be logged; each stands in the places where such a thing stands. */
const CANARY = {
  password: 'canary-password',
  changed: 'canary-changed-password',
  guess: 'canary-guessed-password',
  prompt: 'canary-prompt',
  answer: 'canary-answer',
  header: 'canary-header-token',
  cookie: 'canary-cookie',
  query: 'canary-query',
  path: 'canary-path',
  fragment: 'canary-broken-json',
  oversized: 'canary-oversized',
  malformed: 'canary-malformed-request',
  overflow: 'canary-overflow',
} as const

const MESSAGES = [{ role: 'user', content: CANARY.prompt }]
const CHAT = { model: '*', messages: MESSAGES }

interface Stage extends ManagedRoom {
  url: string
  llm: FakeLlm
  token: string
  lines: string[]
}

/** A locked room with an LLM server in it, on a hub that logs everything. */
async function setUp(t: Test): Promise<Stage> {
  const { logger, lines } = keepLog()
  const [{ url }, llm] = [await startHub(t, { logger, graceMs: 50, bodyLimit: 4096 }), await startFakeLlm(t)]
  const managed = await manageRoom(url, { name: 'Vault', password: CANARY.password })
  const { token } = await join(url, managed.room.code, { endpoint: llm.url, password: CANARY.password })
  return { ...managed, url, llm, token, lines }
}

/** What must not stand in the log of this stage, beyond the canaries: tokens and the hashes that the hub keeps of them. */
function secretsOf({ hostToken, token }: Stage): string[] {
  return [...Object.values(CANARY), hostToken, token, hashToken(hostToken), hashToken(token)]
}

/** The log when the last request has been logged. */
async function told(stage: Stage): Promise<string[]> {
  await call('GET', `${stage.url}/rooms/LASTLAST`)
  const hasLast = () => stage.lines.filter((line) => line.includes('"route":"/rooms/:code"')).length > 0
  await eventually(hasLast, 'the last line')
  return findSecrets(stage.lines, secretsOf(stage))
}

/** Bytes as no HTTP library would send them. */
async function sendBytes(url: string, bytes: string): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {}).resume()
  socket.write(bytes)
  await closed
}

/** Each credential in each header where somebody may put one. */
function headersWith(secret: string): Record<string, string>[] {
  return [
    { authorization: `Bearer ${secret}` },
    { authorization: `Basic ${secret}` },
    { authorization: secret },
    { 'x-api-key': secret },
    { cookie: `session=${CANARY.cookie}` },
    { 'proxy-authorization': `Bearer ${secret}` },
    { 'last-event-id': secret },
    { referer: `http://127.0.0.1/?token=${secret}` },
  ]
}

t.test('joining with a password, with a wrong one, and with credentials that are not taken', async (t) => {
  const stage = await setUp(t)
  const entry = { id: 'bob', nickname: 'Bob', model: 'm', endpoint: 'http://127.0.0.1:1' }
  const refused = [
    { ...entry, password: CANARY.guess },
    { ...entry, password: CANARY.password, slots: 0 },
    { ...entry, password: CANARY.password, authHeaders: { authorization: `Bearer ${CANARY.header}` } },
    { ...entry, password: CANARY.password, endpoint: `http://me:${CANARY.header}@127.0.0.1:1` },
    { ...entry, password: CANARY.password, endpoint: `http://127.0.0.1:1/?key=${CANARY.query}` },
    { ...entry, password: [CANARY.password] },
    { ...entry, password: CANARY.password.repeat(100) },
  ]
  for (const body of refused) t.ok((await call('POST', `${stage.base}/join`, body)).status >= 400)
  t.strictSame(await told(stage), [])
})

t.test('tokens in headers, right and wrong, on every route', async (t) => {
  const stage = await setUp(t)
  for (const secret of [stage.token, stage.hostToken, CANARY.header]) {
    for (const headers of headersWith(secret)) {
      await call('POST', `${stage.base}/health`, { id: 'alice' }, headers)
      await call('PATCH', `${stage.base}/participants/nobody`, {}, headers)
      await call('DELETE', `${stage.base}/participants/nobody`, undefined, headers)
      await call('POST', `${stage.base}/v1/chat/completions`, CHAT, headers)
      await call('GET', `${stage.url}/nowhere`, undefined, headers)
      await call('OPTIONS', stage.base, undefined, headers)
    }
  }
  t.strictSame(await told(stage), [])
})

t.test('changing the password, the room and a participant', async (t) => {
  const stage = await setUp(t)
  t.equal((await stage.change({ password: CANARY.changed })).status, 200)
  t.equal((await stage.change({ password: CANARY.changed, colour: CANARY.changed })).status, 400)
  t.equal((await stage.change({ password: CANARY.changed }, bearer(CANARY.header))).status, 401)
  t.equal((await stage.changeParticipant('alice', { slots: 2 }, stage.token)).status, 200)
  t.equal((await stage.changeParticipant('alice', { password: CANARY.changed }, stage.token)).status, 400)
  t.strictSame(await told(stage), [])
})

t.test('chat, plain and streamed', async (t) => {
  const stage = await setUp(t)
  const headers = bearer(stage.token)
  stage.llm.answer(answerPlain(CANARY.answer))
  t.equal((await call('POST', `${stage.base}/v1/chat/completions`, CHAT, headers)).status, 200)
  stage.llm.answer(answerStream([CANARY.answer, CANARY.answer]))
  const body = JSON.stringify({ ...CHAT, stream: true })
  const { text } = await send('POST', `${stage.base}/v1/chat/completions`, { headers, body })
  t.match(text, CANARY.answer)
  t.strictSame(await told(stage), [])
})

t.test('chat that fails, and says the prompt wherever a server can say something', async (t) => {
  const stage = await setUp(t)
  const headers = bearer(stage.token)
  const secret = CANARY.prompt
  const failures: Parameters<FakeLlm['answer']>[0][] = [
    (_request, response) => void response.writeHead(400, secret).end(`{"error":"${secret}"}`),
    (_request, response) => void response.writeHead(500, secret, { 'x-odd': secret }).end(secret),
    (_request, response) => void response.writeHead(302, { location: `http://127.0.0.1:1/${secret}` }).end(),
    (_request, response) => void response.socket?.end(`HTTP/1.1 ${secret}\r\n${secret}\r\n\r\n`),
    (_request, response) => void response.socket?.end(`HTTP/1.1 200 OK\r\n${secret} ${secret}\r\n\r\n`),
    (_request, response) => void response.socket?.end(`HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n${secret}`),
    (_request, response) => void response.destroy(),
    answerBrokenStream([secret]),
  ]
  for (const failure of failures) {
    stage.llm.answer(failure)
    await send('POST', `${stage.base}/v1/chat/completions`, { headers, body: JSON.stringify(CHAT) }).catch(() => {})
  }
  t.equal(stage.llm.requests.length, failures.length)
  t.strictSame(await told(stage), [])
})

t.test('chat that reaches nobody, or is none', async (t) => {
  const stage = await setUp(t)
  const headers = bearer(stage.token)
  const path = `${stage.base}/v1/chat/completions`
  for (const body of [
    JSON.stringify({ ...CHAT, model: 'nobody' }),
    JSON.stringify({ model: { is: CANARY.prompt } }),
    `{"messages":[{"content":"${CANARY.fragment}`,
    `{"model":"a","model":"${CANARY.fragment}"}`,
    CANARY.fragment,
    `"${CANARY.fragment}"`,
  ]) {
    await send('POST', path, { headers, body })
  }
  t.strictSame(await told(stage), [])
})

t.test('invalid JSON with a secret in it, on the hub’s own routes', async (t) => {
  const stage = await setUp(t)
  const { url, base, asHost } = stage
  for (const body of [
    `{"name":"x","password":"${CANARY.fragment}"`,
    `{"password": ${CANARY.fragment}}`,
    CANARY.fragment,
    `{"__proto__":{"password":"${CANARY.fragment}"}}`,
    `{"name":{"password":"${CANARY.fragment}"}}`,
  ]) {
    for (const [method, path] of [
      ['POST', `${url}/rooms`],
      ['POST', `${base}/join`],
      ['POST', `${base}/health`],
      ['PATCH', base],
    ] as const) {
      t.ok((await send(method, path, { headers: asHost, body })).status >= 400, `${method} ${body}`)
    }
  }
  t.strictSame(await told(stage), [])
})

t.test('bodies that are too large', async (t) => {
  const stage = await setUp(t)
  const large = JSON.stringify({ name: 'x', password: `${CANARY.oversized}${'x'.repeat(5000)}` })
  for (const path of [`${stage.url}/rooms`, `${stage.base}/join`]) {
    t.equal((await send('POST', path, { body: large })).status, 413)
  }
  t.strictSame(await told(stage), [])
})

t.test('event streams, resumed, with secrets in the query', async (t) => {
  const stage = await setUp(t)
  const { url, base, token } = stage
  for (const path of [`${url}/events`, `${base}/events`]) {
    for (const query of [`?lastEventId=${CANARY.query}`, `?ticket=${CANARY.query}&token=${token}`]) {
      const headers = { ...bearer(token), 'last-event-id': CANARY.header }
      const reader = await readEvents(t, `${path}${query}`, headers)
      reader.close()
    }
  }
  t.strictSame(await told(stage), [])
})

t.test('paths that lead nowhere, with secrets in path and query', async (t) => {
  const stage = await setUp(t)
  const { url, base } = stage
  for (const path of [
    `${url}/${CANARY.path}?key=${CANARY.query}`,
    `${url}/rooms/${CANARY.path}`,
    `${url}/rooms/${CANARY.path}/participants?password=${CANARY.query}`,
    `${base}/${CANARY.path}`,
    `${base}/participants/${CANARY.path}?token=${CANARY.query}`,
    `${base}/leave/${CANARY.path}`,
    `${url}/%zz${CANARY.path}?x=%zz${CANARY.query}`,
    `${url}//${CANARY.path}//`,
    `${url}/rooms?limit=${CANARY.query}&cursor=${CANARY.query}`,
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'OPTIONS']) await send(method, path)
  }
  t.strictSame(await told(stage), [])
})

t.test('requests that are none of HTTP, with secrets in their head', async (t) => {
  const stage = await setUp(t)
  const credentials = `Authorization: Bearer ${CANARY.malformed}\r\n`
  for (const bytes of [
    `GET /rooms HTTP/1.1\r\nHost: x\r\n${credentials}Bad Header\r\n\r\n`,
    `GET /rooms HTTP/1.1\r\nHost: x\r\n${credentials}Content-Length: x\r\n\r\n`,
    `${CANARY.malformed} / HTTP/1.1\r\n\r\n`,
    `GET /?${CANARY.malformed} HTTP/9.9\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\n${credentials}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc`,
    `POST /rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${CANARY.malformed}\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${CANARY.overflow.repeat(5000)}\r\n\r\n`,
  ]) {
    await sendBytes(stage.url, bytes)
  }
  t.strictSame(await told(stage), [])
})

t.test('closing the room, with a request in flight', async (t) => {
  const stage = await setUp(t)
  stage.llm.answer(() => {})
  const body = JSON.stringify(CHAT)
  const asked = send('POST', `${stage.base}/v1/chat/completions`, { headers: bearer(stage.token), body })
  await eventually(() => stage.llm.requests.length === 1, 'the request at the LLM server')
  await stage.close()
  t.equal((await asked).status, 503)
  t.strictSame(await told(stage), [])
})
