import t, { type Test } from 'tap'
import { PROTOCOLS } from '../../plugins/ollama-proxy/protocols/index.ts'
import type { JoinBody } from '../../schemas/participant.ts'
import { startVault } from '../support/access.ts'
import { answerJson } from '../support/client-answers.ts'
import { type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar, send } from '../support/wire.ts'

const MANAGING = PROTOCOLS.flatMap(({ endpoints }) => endpoints).filter(({ manages }) => manages === true)

/** A room with these participants, each on a server of its own. */
async function openRoom(t: Test, brought: Record<string, Partial<JoinBody>>, url?: string) {
  const hubUrl = url ?? (await startHub(t)).url
  const room = await manageRoom(hubUrl)
  const llms: Record<string, FakeLlm> = {}
  for (const [id, body] of Object.entries(brought)) {
    const llm = await startFakeLlm(t, answerJson({ status: 'success' }))
    llms[id] = llm
    await join(hubUrl, room.room.code, { id, nickname: id, endpoint: llm.url, ...body })
  }
  const asked = () => Object.fromEntries(Object.entries(llms).map(([id, { requests }]) => [id, requests.length]))
  return { ...room, url: hubUrl, llms, asked }
}

const BODY = '{"model":"brand-new:7b", "stream":false, "name": "x", "model": "y"}'

/** What every managing request is answered. */
async function answersOf({ base }: { base: string }, headers: Record<string, string> = {}) {
  const answers = []
  for (const { method, path } of MANAGING) answers.push(await send(method, `${base}${path}`, { headers, body: BODY }))
  return answers
}

const named = (id: string) => ({ 'x-potluck-participant': id })

t.test('pull, push, create, copy and delete change models', async (t) => {
  t.strictSame(
    MANAGING.map(({ method, path }) => `${method} ${path}`),
    ['POST /api/pull', 'POST /api/push', 'POST /api/create', 'POST /api/copy', 'DELETE /api/delete'],
  )
})

t.test('nobody’s models are changed who did not allow it', async (t) => {
  for (const brought of [{}, { alice: {} }, { alice: {}, bob: { manage: false } }, { alice: { manage: null } }]) {
    const room = await openRoom(t, brought)
    for (const { status, text } of await answersOf(room)) {
      t.equal(status, 403)
      t.match(JSON.parse(text), { error: /manage: true/ })
    }
    for (const count of Object.values(room.asked())) t.equal(count, 0)
  }
})

t.test('where one allows it, that one is asked, byte for byte', async (t) => {
  const room = await openRoom(t, { alice: {}, bob: { manage: true }, carol: {} })
  for (const { status, text, headers } of await answersOf(room)) {
    t.strictSame([status, text], [200, '{"status":"success"}'])
    t.equal(headers['x-potluck-participant'], 'bob')
  }
  t.strictSame(room.asked(), { alice: 0, bob: MANAGING.length, carol: 0 })
  const seen = room.llms.bob!.requests.map(({ method, path, body }) => [method, path, body.toString()])
  t.strictSame(
    seen,
    MANAGING.map(({ method, path }) => [method, path, BODY]),
  )
})

t.test('where several allow it, one must be named', async (t) => {
  const room = await openRoom(t, { alice: { manage: true }, bob: { manage: true }, carol: {} })
  for (const { status, text } of await answersOf(room)) {
    t.equal(status, 400)
    t.match(JSON.parse(text), { error: /name one by the header `x-potluck-participant: <id>`/ })
  }
  t.strictSame(room.asked(), { alice: 0, bob: 0, carol: 0 })
  for (const { status, headers } of await answersOf(room, named('bob'))) {
    t.strictSame([status, headers['x-potluck-participant']], [200, 'bob'])
  }
  t.strictSame(room.asked(), { alice: 0, bob: MANAGING.length, carol: 0 })
})

t.test('the one who is named must allow it, and be there', async (t) => {
  const { pass, url } = await startTimedHub(t)
  const room = await openRoom(t, { alice: { manage: true }, carol: {} }, url)
  for (const { status } of await answersOf(room, named('carol'))) t.equal(status, 403)
  for (const id of ['nobody', 'ALICE', '', 'alice,carol']) {
    for (const { status, text } of await answersOf(room, named(id))) {
      t.equal(status, 404, id)
      t.strictSame(JSON.parse(text), { error: 'Participant not found' }, id)
    }
  }
  await pass(31_000)
  for (const headers of [{}, named('alice')]) {
    for (const { status, text } of await answersOf(room, headers)) {
      t.strictSame([status, JSON.parse(text)], [503, { error: 'Participant is offline' }])
    }
  }
  t.strictSame(room.asked(), { alice: 0, carol: 0 })
})

t.test('it is no event, and the participant’s own refusal is passed on', async (t) => {
  const room = await openRoom(t, { alice: { manage: true } })
  const events = await readEvents(t, `${room.base}/events`)
  room.llms.alice!.answer(answerJson({ error: 'pull model manifest: file does not exist' }, 500))
  for (const { status, text } of await answersOf(room)) {
    t.strictSame([status, text], [500, '{"error":"pull model manifest: file does not exist"}'])
  }
  t.strictSame(await eventsSoFar(room.url, events), ['connected'])
})

t.test('in a locked room only who may enter may', async (t) => {
  const vault = await startVault(t)
  const llm = await startFakeLlm(t)
  const alice = { id: 'alice', nickname: 'Alice', model: 'm', endpoint: llm.url, manage: true }
  t.equal((await call('POST', `${vault.base}/join`, alice, { authorization: 'Bearer open sesame' })).status, 201)
  for (const { status, text } of await answersOf(vault)) {
    t.equal(status, 401)
    t.match(JSON.parse(text), { error: /password/ })
  }
  t.equal(llm.requests.length, 0)
  for (const { status } of await answersOf(vault, { authorization: 'Bearer open sesame' })) t.equal(status, 200)
})

t.test('looking at a model changes nothing, so everybody may', async (t) => {
  const room = await openRoom(t, { alice: {} })
  const answer = await send('POST', `${room.base}/api/show`, { body: '{"name":"llama3.2:3b","verbose":true}' })
  t.equal(answer.status, 200)
  t.equal(room.llms.alice!.requests[0]!.body.toString(), '{"name":"llama3.2:3b","verbose":true}')
})

t.test('a participant shows whether it allows it', async (t) => {
  const room = await openRoom(t, { alice: { manage: true }, bob: {} })
  t.equal((await room.look('alice')).body.participant.manage, true)
  t.notOk('manage' in (await room.look('bob')).body.participant)
})
