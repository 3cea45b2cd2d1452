// Statements in quotes are those of the reference document of the event stream, "Connect to Events".
import t, { type Test } from 'tap'
import { type Answerer, answerNever, answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, type Joined, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

/** The participant of the reference document's examples. */
const ALICE = {
  id: '550e8400-e29b-41d4-a716-446655440000',
  nickname: 'Alice',
  model: 'llama3.2:3b',
  endpoint: 'http://localhost:11434',
}

async function watch(t: Test, { endpoint = ALICE.endpoint }: { endpoint?: string } = {}) {
  const timed = await startTimedHub(t)
  const { room } = await openRoom(timed.url)
  const base = `${timed.url}/rooms/${room.code}`
  const reader = await readEvents(t, `${base}/events`)
  const joined = await call<Joined>('POST', `${base}/join`, { ...ALICE, endpoint })
  const ask = (body: object = {}) => call('POST', `${base}/v1/chat/completions`, { model: '*', messages: [], ...body })
  return { ...timed, base, reader, joined: joined.body, ask }
}

async function watchLlm(t: Test, answerer: Answerer) {
  const llm = await startFakeLlm(t, answerer)
  return { ...(await watch(t, { endpoint: llm.url })), llm }
}

t.test(
  'room:created: "id", "code", "name", "hostId", "createdAt number Creation timestamp (milliseconds)"',
  async (t) => {
    const { url, reader, now } = await watch(t)
    const { room, hostId } = await openRoom(url, { name: 'My Team Room' })
    const { data } = await reader.next('room:created')
    t.hasStrict(data, { id: room.id, code: room.code, name: 'My Team Room', hostId, createdAt: now() })
  },
)

t.test('participant:joined: "id" … "lastSeen number Last health check timestamp"', async (t) => {
  const { reader, now } = await watch(t)
  const { data } = await reader.next('participant:joined')
  t.hasStrict(data, { ...ALICE, specs: {}, config: {}, status: 'online', joinedAt: now(), lastSeen: now() })
})

t.test('participant:left: "participantId string ID of the participant who left"', async (t) => {
  const { base, reader } = await watch(t)
  await call('DELETE', `${base}/leave/${ALICE.id}`)
  t.equal((await reader.next('participant:left')).data?.participantId, ALICE.id)
})

t.test('participant:offline: "participantId string ID of the offline participant"', async (t) => {
  const { pass, reader } = await watch(t)
  await pass(31_000)
  t.equal((await reader.next('participant:offline')).data?.participantId, ALICE.id)
})

t.test('"Participants are marked offline after 30 seconds without a health check (3 missed intervals)."', async (t) => {
  const { url, pass, reader } = await watch(t)
  await pass(30_000)
  t.notOk((await eventsSoFar(url, reader)).includes('participant:offline'))
  await pass(1)
  t.ok(await reader.next('participant:offline'))
})

t.test('llm:request: "participantId string ID of the participant handling the request"', async (t) => {
  const { ask, reader } = await watchLlm(t, answerPlain('Hi'))
  await ask()
  t.equal((await reader.next('llm:request')).data?.participantId, ALICE.id)
})

t.test('llm:request: "model string Model specified in the original request"', async (t) => {
  const { ask, reader } = await watchLlm(t, answerPlain('Hi'))
  for (const model of ['*', 'any', 'llama3.2:3b', 'model:llama3.2:3b', ALICE.id]) {
    await ask({ model })
    t.equal((await reader.next('llm:request')).data?.model, model)
  }
})

t.test(
  'llm:request is "Broadcast to room when a chat completion request is routed", not when it has ended',
  async (t) => {
    const { ask, reader } = await watchLlm(t, answerNever)
    // Cut off when the hub closes.
    ask().catch(() => {})
    t.equal((await reader.next('llm:request')).data?.participantId, ALICE.id)
  },
)

t.test('llm:request: {participantId, model, requestId, protocol, stream, attempt, queuedMs, reason}', async (t) => {
  const { ask, reader } = await watchLlm(t, answerPlain('Hi'))
  const { headers } = await ask()
  const { data } = await reader.next('llm:request')
  t.hasStrict(data, { requestId: headers.get('x-potluck-request-id'), stream: false, attempt: 1 })
  t.match(data, { protocol: String, queuedMs: Number, reason: String })
})

t.test('llm:complete: {participantId, model, requestId, protocol, metrics}', async (t) => {
  const { ask, reader } = await watchLlm(t, answerPlain('Hi'))
  await ask({ model: 'llama3.2:3b' })
  const { requestId, protocol } = (await reader.next('llm:request')).data ?? {}
  const { data } = await reader.next('llm:complete')
  t.hasStrict(data, { participantId: ALICE.id, model: 'llama3.2:3b', requestId, protocol })
  const tokens = { inputTokens: 7, outputTokens: 3, totalTokens: 10, estimated: false }
  t.match(data?.metrics, { ...tokens, ttftMs: Number, durationMs: Number, tokensPerSecond: Number })
})

t.test(
  'llm:error: "participantId string ID of the participant that failed", "error": "Connection refused"',
  async (t) => {
    const { ask, reader } = await watch(t, { endpoint: 'http://127.0.0.1:1' })
    await ask()
    t.hasStrict((await reader.next('llm:error')).data, { participantId: ALICE.id, error: 'Connection refused' })
  },
)

t.test(
  'llm:error is "Broadcast to room when a chat completion request fails": also where the participant refuses',
  async (t) => {
    const { ask, reader } = await watchLlm(t, (_request, response) => void response.writeHead(500).end('{}'))
    await ask()
    const { data } = await reader.next('llm:error')
    t.equal(data?.participantId, ALICE.id)
    t.match(data?.error, /500/)
  },
)

t.test('llm:error: {participantId, error, requestId, protocol, stage, retrying}', async (t) => {
  const { ask, reader } = await watch(t, { endpoint: 'http://127.0.0.1:1' })
  await ask()
  const { requestId, protocol } = (await reader.next('llm:request')).data ?? {}
  const { data } = await reader.next('llm:error')
  t.hasStrict(data, { requestId, protocol, retrying: false })
  t.type(data?.stage, 'string')
})

t.test('llm:cancelled: {participantId, requestId, durationMs}: the client went away', async (t) => {
  const { base, reader } = await watchLlm(t, answerNever)
  const leaving = new AbortController()
  const body = JSON.stringify({ model: '*', messages: [] })
  const answer = fetch(`${base}/v1/chat/completions`, { method: 'POST', body, signal: leaving.signal })
  const { requestId } = (await reader.next('llm:request')).data ?? {}
  leaving.abort()
  await t.rejects(answer)
  const { data } = await reader.next('llm:cancelled')
  t.hasStrict(data, { participantId: ALICE.id, requestId })
  t.type(data?.durationMs, 'number')
})

t.test('no event carries a prompt or an answer', async (t) => {
  const { ask, url, reader } = await watchLlm(t, answerPlain('the-answer'))
  await ask({ messages: [{ role: 'user', content: 'the-prompt' }] })
  await reader.next('llm:complete')
  await eventsSoFar(url, reader)
  t.notMatch(reader.frames.map(({ text }) => text).join('\n'), /the-prompt|the-answer/)
})

t.test("a request that nobody could take is announced as nobody's failure", async (t) => {
  const { ask, url, reader } = await watch(t)
  await ask({ model: 'gpt-oss:20b' })
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'participant:joined'])
})

t.test('who only watches a room of a fresh hub sees `connected` and no more', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  t.strictSame(await eventsSoFar(url, reader), ['connected'])
})
