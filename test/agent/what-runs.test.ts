import t, { type Test } from 'tap'
import { createBackoff } from '../../src/agent/backoff.ts'
import type { State } from '../../src/agent/events.ts'
import { createHub, type Hub } from '../../src/hub.ts'
import { startAgent } from '../support/agents.ts'
import { eventually } from '../support/cli.ts'
import { type Answerer, startFakeLlm } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { type ManagedRoom, manageRoom } from '../support/managed.ts'
import { ownPort } from '../support/ports.ts'

const CODE = 'KITCHEN'

interface Stage {
  hub: Hub
  url: string
  room: ManagedRoom
  /** How often the hub's API refused the agent, or was not there. */
  refused(): number
}

/** Answers when it is told to. */
function answerLate(): { late: Answerer; finish: () => void } {
  const { promise: isTime, resolve: finish } = Promise.withResolvers<void>()
  const late: Answerer = async (_request, response) => {
    await isTime
    response.end('{"said":"all"}')
  }
  return { late, finish }
}

/** Of the hub's API, and how often it was not there. */
function countRefusals() {
  let refused = 0
  const counting: typeof fetch = async (...call) => {
    const answer = await fetch(...call).catch((error) => {
      refused += 1
      throw error
    })
    if (!answer.ok) refused += 1
    return answer
  }
  return { refused: () => refused, fetch: counting }
}

async function startKitchen(t: Test, llmAnswers: Answerer) {
  const port = await ownPort()
  const hub = createHub({ host: '127.0.0.1', port, graceMs: 60_000, learnIntervalMs: 0 })
  t.teardown(() => hub.close())
  const url = await hub.listen()
  const room = await manageRoom(url, { name: 'Kitchen', code: CODE })
  return { hub, url, room, llm: await startFakeLlm(t, llmAnswers) }
}

/** A participant behind a tunnel with a request that runs, and ends when it is told to. */
async function startServing(t: Test) {
  const { late, finish } = answerLate()
  const { hub, url, room, llm } = await startKitchen(t, tells(FINDABLE.ollama!(['a']), late))
  const { refused, fetch: counting } = countRefusals()
  const backoff = createBackoff({ firstWindowMs: 100, longestWindowMs: 200 })
  const options = { hubUrl: url, code: CODE, endpoint: llm.url, backoff, fetch: counting }
  const agent = await startAgent(t, { via: 'tunnel', ...options })
  await agent.until('state', ({ state }) => state === 'online')
  const answer = room.chat()
  await eventually(
    () => agent.membership.running(),
    (running) => running === 1,
  )
  return { hub, url, room, agent, answer, finish, refused }
}

const ENDS: [string, (stage: Stage, t: Test) => unknown, State][] = [
  ['its hub shuts down', ({ hub }) => void hub.close(), 'reconnecting'],
  [
    'another hub has the port of its own',
    async ({ hub, url }, t) => {
      void hub.close()
      const next = createHub({ host: '127.0.0.1', port: Number(new URL(url).port) })
      t.teardown(() => next.close())
      await next.listen()
    },
    'waiting',
  ],
  ['the room is closed', ({ room }) => room.close(), 'waiting'],
]

for (const [what, act, then] of ENDS) {
  t.test(`a request that runs through a tunnel ends as it should when ${what} meanwhile`, async (t) => {
    const stage = await startServing(t)
    const { agent, answer, refused, finish } = stage
    await act(stage, t)
    await eventually(refused, (count) => count >= 3)
    t.equal(agent.membership.state, 'online')
    finish()
    t.match(await answer, { status: 200, body: { said: 'all' } })
    await agent.until('state', ({ state }) => state === then)
    t.equal(agent.membership.served().requests, 1)
  })
}

t.test('so does one of a participant that is removed meanwhile, which is told so at the end', async (t) => {
  const { room, agent, answer, finish, refused } = await startServing(t)
  await fetch(`${room.base}/participants/alice`, { method: 'DELETE', headers: room.asHost })
  await eventually(refused, (count) => count >= 3)
  finish()
  t.match(await answer, { status: 200, body: { said: 'all' } })
  t.match(await agent.end, { reason: 'removed' })
})

t.test('who has nothing to do stays with a hub that shuts down, for what others may leave undone', async (t) => {
  const { late, finish } = answerLate()
  const { hub, url, room, llm } = await startKitchen(t, tells(FINDABLE.ollama!(['a'])))
  const other = await startFakeLlm(t, late)
  await join(url, CODE, { id: 'bob', model: 'b', endpoint: other.url })
  const { refused, fetch: counting } = countRefusals()
  const agent = await startAgent(t, { via: 'tunnel', hubUrl: url, code: CODE, endpoint: llm.url, fetch: counting })
  await agent.until('state', ({ state }) => state === 'online')
  const answer = room.chat({ model: 'b' })
  await eventually(
    () => other.requests.length,
    (requests) => requests === 1,
  )
  const closed = hub.close()
  await eventually(refused, (count) => count >= 3)
  t.equal(agent.membership.state, 'online')
  const { roomStore } = await hub.app
  t.match((await roomStore.getParticipant(room.room.id, 'alice')).participant, { status: 'online' })
  finish()
  t.match(await answer, { status: 200, body: { said: 'all' } })
  await closed
  await agent.until('state', ({ state }) => state === 'reconnecting')
})

t.test('a request that begins while its participant says goodbye ends as it should', async (t) => {
  const { late, finish } = answerLate()
  const { url, room, llm } = await startKitchen(t, tells(FINDABLE.ollama!(['a']), late))
  let answer: ReturnType<typeof room.chat> | undefined
  // Just before the hub hears of it.
  const held: typeof fetch = async (input, init) => {
    if (init?.method === 'DELETE') {
      const before = llm.requests.length
      answer = room.chat()
      await eventually(
        () => llm.requests.slice(before).some(({ method }) => method === 'POST'),
        (isThere) => isThere,
      )
    }
    return fetch(input, init)
  }
  const agent = await startAgent(t, { via: 'tunnel', hubUrl: url, code: CODE, endpoint: llm.url, fetch: held })
  await agent.until('state', ({ state }) => state === 'online')
  const left = agent.membership.leave()
  await eventually(
    async () => (await room.look('alice')).status,
    (status) => status === 404,
  )
  finish()
  await left
  t.match(await answer, { status: 200, body: { said: 'all' } })
  t.match(await agent.end, { reason: 'asked' })
})

t.test('an LLM server that answers nothing else while it answers a request has not gone', async (t) => {
  const { late, finish } = answerLate()
  const told = tells(FINDABLE.ollama!(['a']))
  let isBusy = false
  let unanswered = 0
  const oneAtATime: Answerer = async (request, response) => {
    if (request.method === 'POST') {
      isBusy = true
      await late(request, response)
      isBusy = false
    } else if (isBusy) unanswered += 1
    else await told(request, response)
  }
  const { url, room, llm } = await startKitchen(t, oneAtATime)
  const agent = await startAgent(t, { via: 'tunnel', hubUrl: url, code: CODE, endpoint: llm.url })
  await agent.until('state', ({ state }) => state === 'online')
  const answer = room.chat()
  // Each look asks two questions.
  await eventually(
    () => unanswered,
    (count) => count >= 6,
  )
  finish()
  t.match(await answer, { status: 200, body: { said: 'all' } })
  t.notOk(agent.events.some((event) => event.event === 'state' && event.state === 'away'))
})
