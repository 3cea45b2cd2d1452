import t from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { answerModels, leave, PROBE_INTERVAL_MS, startProbingRoom, startStoppableLlm } from '../support/probed.ts'
import { readEvents } from '../support/sse.ts'

const MINUTE_MS = 60_000

t.test('join probes nothing: 201 and online at once, the first question comes later', async (t) => {
  const [{ joinProbed, probe }, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const { participant } = await joinProbed(llm.url)
  t.equal(participant.status, 'online')
  t.equal(llm.requests.length, 0)
  await probe()
  t.strictSame(
    llm.requests.map(({ method, path }) => `${method} ${path}`),
    ['GET /v1/models'],
  )
})

t.test('a join that is refused has nothing probed', async (t) => {
  const [{ url, probe }, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const vault = await manageRoom(url, { name: 'Vault', password: 'open sesame' })
  const entry = { id: 'alice', nickname: 'A', model: 'm', endpoint: llm.url, liveness: 'probe' }
  t.equal((await call('POST', `${vault.base}/join`, { ...entry, password: 'guessed' })).status, 401)
  t.equal((await call('POST', `${vault.base}/join`, { ...entry, password: 'open sesame', slots: 0 })).status, 400)
  await probe()
  t.equal(llm.requests.length, 0)
})

t.test('an LLM server that answers stays online, without heartbeats', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const { participant } = await room.joinProbed(llm.url)
  const reader = await readEvents(t, `${room.base}/events`)
  await room.live(3 * MINUTE_MS)
  const now = (await room.look('alice')).body.participant
  t.equal(now.status, 'online')
  t.ok(now.lastSeen - participant.lastSeen >= 2 * MINUTE_MS, 'a good answer counts as a heartbeat')
  t.notOk(reader.frames.some(({ event }) => event === 'participant:offline'))
})

t.test('who sends heartbeats is not probed', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  await join(room.url, room.room.code, { id: 'alice', endpoint: llm.url })
  await join(room.url, room.room.code, { id: 'bob', endpoint: llm.url, liveness: 'heartbeat' })
  await room.live(MINUTE_MS)
  t.equal(llm.requests.length, 0)
  t.equal((await room.look('alice')).body.participant.status, 'offline')
})

t.test('a server that stops: offline after the usual silence, with the reason; back: online', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startStoppableLlm(t)]
  await room.joinProbed(llm.url)
  const reader = await readEvents(t, `${room.base}/events`)
  await room.live(2 * PROBE_INTERVAL_MS)
  await llm.stop()
  await room.live(PROBE_INTERVAL_MS)
  t.equal((await room.look('alice')).body.participant.status, 'online', 'one failure alone is none')
  await room.live(30_000)
  const { data } = await reader.next('participant:offline')
  t.strictSame(data, { participantId: 'alice', reason: 'Connection refused' })
  t.hasStrict((await room.look('alice')).body.participant, { status: 'offline', offlineReason: 'Connection refused' })
  await llm.start()
  await room.live(MINUTE_MS)
  const { participant } = (await room.look('alice')).body
  t.equal(participant.status, 'online')
  t.notOk('offlineReason' in participant)
  t.hasStrict((await reader.next('participant:online')).data, { id: 'alice', status: 'online' })
})

t.test('who is not there at the first question is offline at once, and told so once', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startStoppableLlm(t)]
  await llm.stop()
  await room.joinProbed(llm.url)
  const reader = await readEvents(t, `${room.base}/events`)
  await room.probe()
  t.hasStrict((await room.look('alice')).body.participant, { status: 'offline', offlineReason: 'Connection refused' })
  await room.live(3 * MINUTE_MS)
  await reader.next('participant:offline')
  t.equal(reader.frames.filter(({ event }) => event === 'participant:offline').length, 1)
})

t.test('who is no LLM server is offline at once, and the reason says what it answered', async (t) => {
  const room = await startProbingRoom(t)
  const router = await startFakeLlm(t, (_request, response) => void response.end('<h1>Your router</h1>'))
  await room.joinProbed(router.url)
  const reader = await readEvents(t, `${room.base}/events`)
  await room.probe()
  const reason = 'This is no LLM server: GET /v1/models answered 200, GET /api/tags answered 200'
  t.hasStrict((await room.look('alice')).body.participant, { status: 'offline', offlineReason: reason })
  t.strictSame((await reader.next('participant:offline')).data, { participantId: 'alice', reason })
  router.answer(answerModels)
  await room.live(2 * PROBE_INTERVAL_MS)
  const { participant } = (await room.look('alice')).body
  t.equal(participant.status, 'online', 'once it is one, it is there')
  t.notOk('offlineReason' in participant)
})

t.test('nothing is routed to who is offline by a probe', async (t) => {
  const room = await startProbingRoom(t)
  const router = await startFakeLlm(t, (_request, response) => void response.end('<h1>Your router</h1>'))
  await room.joinProbed(router.url)
  await room.probe()
  t.equal((await room.chat({ model: 'alice' })).status, 503)
  t.notOk(router.requests.some(({ method }) => method === 'POST'))
})

t.test('who has left is not probed any more', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  await room.joinProbed(llm.url)
  await room.probe()
  await leave(room)
  await room.live(MINUTE_MS)
  t.equal(llm.requests.length, 1)
})

t.test('nor is anybody in a closed room', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  await room.joinProbed(llm.url)
  await room.probe()
  await room.close()
  await room.live(MINUTE_MS)
  t.equal(llm.requests.length, 1)
})

t.test('who joins again with heartbeats is not probed any more', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const { token } = await room.joinProbed(llm.url)
  await room.probe()
  const entry = { id: 'alice', nickname: 'Alice', model: 'm', endpoint: llm.url }
  t.equal((await call('POST', `${room.base}/join`, entry, bearer(token))).status, 201)
  await room.live(20_000)
  t.equal(llm.requests.length, 1)
})

t.test('who joins again elsewhere is probed there', async (t) => {
  const room = await startProbingRoom(t)
  const [old, fresh] = [await startFakeLlm(t, answerModels), await startFakeLlm(t, answerModels)]
  const { token } = await room.joinProbed(old.url)
  await room.probe()
  const entry = { id: 'alice', nickname: 'Alice', model: 'm', endpoint: fresh.url, liveness: 'probe' }
  await call('POST', `${room.base}/join`, entry, bearer(token))
  await room.live(2 * PROBE_INTERVAL_MS)
  t.equal(old.requests.length, 1)
  t.ok(fresh.requests.length >= 2)
})

t.test('a paused participant is probed on, and stays paused', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const { token } = await room.joinProbed(llm.url)
  await room.changeParticipant('alice', { paused: true }, token)
  await room.live(2 * MINUTE_MS)
  t.hasStrict((await room.look('alice')).body.participant, { status: 'busy', paused: true })
})

t.test('a liveness of another kind is refused by its name', async (t) => {
  const { base } = await startProbingRoom(t)
  for (const liveness of ['ping', '', 1, true, {}]) {
    const entry = { id: 'alice', nickname: 'A', model: 'm', endpoint: 'http://127.0.0.1:1', liveness }
    const { status, body } = await call('POST', `${base}/join`, entry)
    t.equal(status, 400, JSON.stringify(liveness))
    t.strictSame(body, { error: 'liveness must be "heartbeat" or "probe"' })
  }
})

// The rest of this file moves the time by hand; here it passes by itself.
t.test('on a running hub it all happens by itself', async (t) => {
  const times = { healthTickMs: 10, probeIntervalMs: 50, probeMaxIntervalMs: 200, offlineAfterMs: 2000 }
  const [{ url }, llm] = [await startHub(t, times), await startStoppableLlm(t)]
  const { room, base } = await manageRoom(url)
  const reader = await readEvents(t, `${base}/events`)
  await join(url, room.code, { endpoint: llm.url, liveness: 'probe' })
  await llm.stop()
  // It may have stopped in the midst of an answer.
  t.match((await reader.next('participant:offline', 10_000)).data, { reason: /^Connection (refused|reset|closed)$/ })
  await llm.start()
  t.hasStrict((await reader.next('participant:online', 10_000)).data, { id: 'alice', status: 'online' })
})
