import t from 'tap'
import * as catalogue from '../../schemas/errors.ts'
import { createClient, HubError, HubUnreachable, NotAHub } from '../../src/client/client.ts'
import { importsOf, readArrows } from '../support/arrows.ts'
import { answerBrokenStream, answerNever, answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { join, openRoom, startHub } from '../support/hub.ts'

t.test('a room from its opening to its end', async (t) => {
  const { url } = await startHub(t)
  const hub = createClient({ url: `${url}/` })
  await hub.check()
  const { room, hostToken } = await hub.createRoom({ name: 'Kitchen', password: 'grün' })
  t.match(await hub.rooms(), [{ code: room.code, participantCount: 0 }])
  t.match(await hub.room(room.code), { name: 'Kitchen', protected: true })
  const llm = await startFakeLlm(t, answerStream(['one ', 'two']))
  const body = { id: 'alice', nickname: 'Alice', model: 'a', endpoint: llm.url, password: 'grün' }
  const { participant, token } = await hub.join(room.code, body)
  t.equal(participant.status, 'online')
  await hub.heartbeat(room.code, 'alice', { credential: token })
  t.match(await hub.participants(room.code, { credential: 'grün' }), [{ id: 'alice' }])
  const answer = await hub.chat(room.code, { messages: [{ role: 'user', content: 'hi' }], credential: 'grün' })
  const pieces: string[] = []
  for await (const piece of answer.text) pieces.push(piece)
  t.same(pieces, ['one ', 'two'])
  t.match(answer, { participant: 'alice', model: 'a' })
  t.same(answer.usage(), { inputTokens: 7, outputTokens: 3 })
  t.match(await hub.updateParticipant(room.code, 'alice', { paused: true }, { credential: hostToken }), {
    paused: true,
  })
  t.match(await hub.participant(room.code, 'alice', { credential: token }), {
    paused: true,
    performance: { requests: 1 },
  })
  await hub.leave(room.code, 'alice', { credential: token })
  t.same(await hub.participants(room.code, { credential: hostToken }), [])
})

t.test('all rooms, however many', async (t) => {
  const { url } = await startHub(t)
  for (let count = 0; count < 501; count += 1) await openRoom(url, { name: `Room ${count}` })
  t.equal((await createClient({ url }).rooms()).length, 501)
})

/** Each failure that programs tell apart, as the hub makes it. */
const FAILURES = {
  PTL_INVALID_PASSWORD: new catalogue.InvalidPassword(),
  PTL_PASSWORD_REQUIRED: new catalogue.PasswordRequired(),
  PTL_TOKEN_REQUIRED: new catalogue.TokenRequired(),
  PTL_ADMIN_ONLY: new catalogue.AdminOnly(),
  PTL_NOT_YOUR_PARTICIPANT: new catalogue.NotYourParticipant(),
  PTL_ROOM_NOT_FOUND: new catalogue.RoomNotFound(),
  PTL_PARTICIPANT_NOT_FOUND: new catalogue.ParticipantNotFound(),
  PTL_NO_PARTICIPANT: new catalogue.NoParticipant(),
  PTL_ROUTE_NOT_FOUND: new catalogue.RouteNotFound('GET /x'),
  PTL_CODE_TAKEN: new catalogue.CodeTaken('LAB42'),
  PTL_PARTICIPANT_ID_TAKEN: new catalogue.ParticipantIdTaken(),
  PTL_ID_IS_MODEL: new catalogue.IdIsModel('alice'),
  PTL_MODEL_IS_ID: new catalogue.ModelIsId('a model'),
  PTL_ROOM_FULL: new catalogue.RoomFull(10_000),
  PTL_TOO_MANY_GUESSES: new catalogue.TooManyGuesses(7),
}

t.test('the sentences that tell failures apart are those of the catalogue', async (t) => {
  for (const [code, error] of Object.entries(FAILURES)) {
    t.equal(error.code, code)
    t.equal(new HubError(error.statusCode ?? 0, error.message).code, code)
  }
  t.equal(new HubError(404, new catalogue.AliasLeadsNowhere('gpt').message).code, 'PTL_NO_PARTICIPANT')
  t.equal(new HubError(500, 'What?').code, 'PTL_HUB_FAILED')
  t.equal(new HubError(418, 'What?').code, 'PTL_REFUSED')
})

t.test('a refusal holds the status, the sentence and when to come again', async (t) => {
  const { url } = await startHub(t)
  const hub = createClient({ url })
  await t.rejects(hub.room('NOPE99'), {
    name: 'HubError',
    status: 404,
    code: 'PTL_ROOM_NOT_FOUND',
    message: 'Room not found',
  })
  await t.rejects(hub.chat('NOPE99', { messages: [] }), { name: 'HubError', status: 404, code: 'PTL_ROOM_NOT_FOUND' })
  const busy = await startFakeLlm(t, (_request, response) => {
    response
      .writeHead(429, { 'retry-after': '7' })
      .end(JSON.stringify({ error: new catalogue.TooManyGuesses(7).message }))
  })
  await t.rejects(createClient({ url: busy.url }).rooms(), { code: 'PTL_TOO_MANY_GUESSES', retryAfterMs: 7000 })
})

t.test('no hub, a silent one, and what is none', async (t) => {
  await t.rejects(createClient({ url: 'http://127.0.0.1:1' }).rooms(), HubUnreachable)
  const silent = await startFakeLlm(t, answerNever)
  await t.rejects(createClient({ url: silent.url, timeoutMs: 100 }).rooms(), {
    name: 'HubUnreachable',
    message: /in time/,
  })
  const page = await startFakeLlm(t, (_request, response) => void response.end('<html>'))
  await t.rejects(createClient({ url: page.url }).check(), NotAHub)
  await t.rejects(createClient({ url: page.url }).rooms(), NotAHub)
  const login = await startFakeLlm(
    t,
    (_request, response) => void response.writeHead(302, { location: '/login' }).end(),
  )
  await t.rejects(createClient({ url: login.url }).rooms(), NotAHub)
  const proxy = await startFakeLlm(t, (_request, response) => void response.writeHead(502).end('<html>Bad Gateway'))
  await t.rejects(createClient({ url: proxy.url }).rooms(), { name: 'HubError', code: 'PTL_HUB_FAILED', status: 502 })
})

t.test('an answer without end is not read to the end', async (t) => {
  const { url } = await startFakeLlm(t, (_request, response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(1024 * 1024)));
    }
    response.on('drain', more)
    more()
  })
  await t.rejects(createClient({ url }).rooms(), NotAHub)
})

t.test('a call can be given up, and so can a chat', async (t) => {
  const silent = await startFakeLlm(t, answerNever)
  const signal = AbortSignal.timeout(50)
  await t.rejects(createClient({ url: silent.url }).rooms({ signal }))
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: silent.url })
  const chat = createClient({ url }).chat(room.code, { messages: [], signal: AbortSignal.timeout(300) })
  await t.rejects(chat)
  await silent.requests.find(({ path }) => path === '/v1/chat/completions')?.closed
})

t.test('a chat that breaks off says so, behind what had come', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: (await startFakeLlm(t, answerBrokenStream(['half']))).url })
  const answer = await createClient({ url }).chat(room.code, { messages: [{ role: 'user', content: 'hi' }] })
  const pieces: string[] = []
  await t.rejects(async () => {
    for await (const piece of answer.text) pieces.push(piece)
  })
  t.same(pieces, ['half'])
})

t.test('browsers can use it: nothing of Node, and of the schemas types only', async (t) => {
  const arrows = readArrows('.', ['src/client'])
  t.ok(arrows.length > 3)
  for (const { from, to, isType } of arrows) {
    t.ok(to.startsWith('src/client/') || (isType && to.startsWith('schemas/')), `${from} → ${to}`)
  }
  t.same(importsOf("import a from 'node:fs'"), [{ specifier: 'node:fs', isType: false }])
})
