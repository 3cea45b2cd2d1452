import t, { type Test } from 'tap'
import { createBackoff } from '../../src/agent/backoff.ts'
import type { Via } from '../../src/agent/events.ts'
import { openIdentities } from '../../src/agent/identities.ts'
import { createHub } from '../../src/hub.ts'
import { type Agent, startAgent } from '../support/agents.ts'
import { eventually } from '../support/cli.ts'
import { answerNever, answerStream, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { bearer, type ManagedRoom, manageRoom } from '../support/managed.ts'
import { ownPort } from '../support/ports.ts'
import { readEvents } from '../support/sse.ts'

const quickly = () => createBackoff({ firstWindowMs: 100, longestWindowMs: 200 })
const ollama = (...models: string[]) => tells(FINDABLE.ollama!(models))

interface Stage {
  url: string
  room: ManagedRoom
  llm: FakeLlm
  agent: Agent
}

async function setUp(
  t: Test,
  via: Via,
  options: { hub?: object; room?: Record<string, unknown>; agent?: object } = {},
): Promise<Stage> {
  const { url } = await startHub(t, options.hub)
  const room = await manageRoom(url, { name: 'Kitchen', ...options.room })
  const llm = await startFakeLlm(t, ollama('a', 'b'))
  const agent = await startAgent(t, {
    hubUrl: url,
    code: room.room.code,
    endpoint: llm.url,
    via,
    backoff: quickly(),
    ...options.agent,
  })
  return { url, room, llm, agent }
}

/** A hub on one port, that can be ended and started again. */
async function restartable(t: Test) {
  const port = await ownPort()
  const first = createHub({ host: '127.0.0.1', port, graceMs: 100 })
  const url = await first.listen()
  let current = first
  t.teardown(() => current.close())
  return {
    url,
    stop: () => current.close(),
    async start() {
      current = createHub({ host: '127.0.0.1', port, graceMs: 100 })
      await current.listen()
    },
  }
}

for (const via of ['direct', 'tunnel'] as const) {
  t.test(`${via}: it joins with all models, and says how to use it`, async (t) => {
    const { url, room, agent } = await setUp(t, via)
    t.match(await agent.until('joined'), {
      participantId: 'alice',
      models: ['a', 'b'],
      baseUrl: `${url}/rooms/${room.room.code}/v1`,
      via,
    })
    t.match((await room.look('alice')).body.participant, { models: ['a', 'b'], status: 'online' })
  })

  t.test(`${via}: a paused one says so, whoever paused it; resumed it says that`, async (t) => {
    const { room, agent } = await setUp(t, via)
    await agent.until('state', ({ state }) => state === 'online')
    await room.changeParticipant('alice', { paused: true }, room.hostToken)
    await agent.until('state', ({ state }) => state === 'paused')
    await agent.membership.setPaused(false)
    await agent.until('state', ({ state }) => state === 'online')
    t.notMatch((await room.look('alice')).body.participant, { paused: true })
  })

  t.test(`${via}: models that appear or vanish are announced`, async (t) => {
    const { url, room, llm, agent } = await setUp(t, via)
    const events = await readEvents(t, `${url}/rooms/${room.room.code}/events`)
    llm.answer(ollama('b', 'c'))
    t.match(await agent.until('models'), { models: ['b', 'c'], added: ['c'], removed: ['a'] })
    t.match((await events.next('participant:updated')).data, { models: ['b', 'c'] })
  })

  t.test(`${via}: of chosen models only those are announced, and none is as good as no server`, async (t) => {
    const { room, llm, agent } = await setUp(t, via, { agent: { chosen: ['a'] } })
    t.same((await room.look('alice')).body.participant.models, ['a'])
    llm.answer(ollama('b'))
    await agent.until('state', ({ state }) => state === 'away')
    llm.answer(ollama('a', 'b'))
    await agent.until('state', ({ state }) => state === 'online')
  })

  t.test(`${via}: a name that the room does not take is told, and the others stay`, async (t) => {
    const { url, room, llm, agent } = await setUp(t, via)
    await call('POST', `${url}/rooms/${room.room.code}/join`, {
      id: 'bob',
      nickname: 'Bob',
      model: 'x',
      endpoint: 'http://127.0.0.1:1',
    })
    llm.answer(ollama('a', 'bob'))
    t.match(await agent.until('notice'), { message: /another participant's id/ })
    llm.answer(ollama('a', 'c'))
    t.match(await agent.until('models'), { models: ['a', 'c'] })
  })

  t.test(`${via}: its LLM server goes: no more heartbeats, until it is back`, async (t) => {
    const { room, llm, agent } = await setUp(t, via)
    await agent.until('state', ({ state }) => state === 'online')
    llm.answer((_request, response) => void response.destroy())
    t.match(await agent.until('state'), { state: 'away' })
    const { lastSeen } = (await room.look('alice')).body.participant
    await new Promise((resolve) => setTimeout(resolve, 400))
    t.equal((await room.look('alice')).body.participant.lastSeen, lastSeen)
    llm.answer(ollama('a', 'b'))
    await agent.until('state', ({ state }) => state === 'online')
    await eventually(
      async () => (await room.look('alice')).body.participant.lastSeen,
      (seen) => seen > lastSeen,
    )
  })

  t.test(`${via}: the host removes it: it ends, and does not come back`, async (t) => {
    const { room, agent } = await setUp(t, via)
    await call('DELETE', `${room.base}/participants/alice`, undefined, room.asHost)
    t.match(await agent.end, { reason: 'removed' })
    t.equal((await room.look('alice')).status, 404)
  })

  t.test(`${via}: the hub has forgotten it behind an interruption: it joins anew under the same id`, async (t) => {
    let isAway = false
    const flaky: typeof fetch = async (...args) => {
      if (isAway)
        throw new TypeError('fetch failed', { cause: Object.assign(new Error('down'), { code: 'ECONNREFUSED' }) })
      return fetch(...args)
    }
    const { room, agent } = await setUp(t, via, { agent: { fetch: flaky } })
    await agent.until('joined')
    isAway = true
    await agent.until('state', ({ state }) => state === 'reconnecting')
    await call('DELETE', `${room.base}/participants/alice`, undefined, room.asHost)
    isAway = false
    t.match(await agent.until('joined'), { participantId: 'alice' })
    t.match((await room.look('alice')).body.participant, { status: 'online' })
  })

  t.test(
    `${via}: the room is closed: it says so, waits, and joins the next room of that code under the same id`,
    async (t) => {
      const { url, room, agent } = await setUp(t, via, { room: { code: 'KITCHEN' } })
      await agent.until('joined')
      await room.close()
      t.match(await agent.until('state', ({ state }) => state === 'waiting'), { reason: /KITCHEN is gone/ })
      const again = await manageRoom(url, { name: 'Again', code: 'KITCHEN' })
      t.match(await agent.until('joined'), { participantId: 'alice', room: { name: 'Again' } })
      t.match((await again.look('alice')).body.participant, { status: 'online' })
    },
  )

  t.test(`${via}: the next room of that code wants a password: it ends, and says why`, async (t) => {
    const { url, room, agent } = await setUp(t, via, { room: { code: 'KITCHEN' } })
    await room.close()
    await agent.until('state', ({ state }) => state === 'waiting')
    await openRoom(url, { name: 'Other', code: 'KITCHEN', password: 'secret' })
    t.match(await agent.end, { reason: 'refused', error: { code: /PASSWORD/ } })
  })

  t.test(`${via}: leaving tells the hub, and throws the token away`, async (t) => {
    const stateDir = t.testdir({})
    const { room, agent } = await setUp(t, via, { agent: { stateDir } })
    t.equal((await openIdentities(stateDir).list()).length, 1)
    await agent.membership.leave()
    t.match(await agent.end, { reason: 'asked' })
    t.equal((await room.look('alice')).status, 404)
    t.same(await openIdentities(stateDir).list(), [])
  })

  t.test(`${via}: after a crash the next one is the same participant, by its token`, async (t) => {
    const stateDir = t.testdir({})
    const { url, room, llm, agent } = await setUp(t, via, { agent: { stateDir } })
    const [before] = await openIdentities(stateDir).list()
    agent.membership.abandon()
    await agent.end
    const next = await startAgent(t, {
      via,
      hubUrl: url,
      code: room.room.code,
      endpoint: llm.url,
      stateDir,
      id: 'someone-else',
    })
    t.equal(next.membership.id, 'alice')
    t.same(await openIdentities(stateDir).list(), [before])
    const { body } = await call<{ participants: unknown[] }>('GET', `${room.base}/participants`)
    t.equal(body.participants.length, 1)
  })

  t.test(`${via}: an id that somebody has: another one is found, unless it had to be this`, async (t) => {
    const { url, room, llm } = await setUp(t, via)
    const options = { hubUrl: url, code: room.room.code, endpoint: llm.url }
    await t.rejects(startAgent(t, { via, ...options, isOwnId: true }), { code: 'PTL_PARTICIPANT_ID_TAKEN' })
    const other = await startAgent(t, options)
    t.match(other.membership.id, /^alice-[a-z2-9]{4}$/)
  })

  t.test(`${via}: the token of an earlier room is of no use to others: it proves nothing but who it is`, async (t) => {
    const stateDir = t.testdir({})
    const { room } = await setUp(t, via, { agent: { stateDir } })
    const [identity] = await openIdentities(stateDir).list()
    const { status } = await call('PATCH', room.base, { name: 'Mine' }, bearer(identity!.token))
    t.equal(status, 403)
  })

  t.test(`${via}: the hub restarts and has forgotten all: it joins the recreated room under the same id`, async (t) => {
    const hub = await restartable(t)
    await openRoom(hub.url, { name: 'Kitchen', code: 'KITCHEN' })
    const llm = await startFakeLlm(t, ollama('a'))
    const agent = await startAgent(t, { via, hubUrl: hub.url, code: 'KITCHEN', endpoint: llm.url, backoff: quickly() })
    await agent.until('joined')
    await hub.stop()
    await agent.until('state', ({ state }) => state === 'reconnecting')
    await hub.start()
    await agent.until('state', ({ state }) => state === 'waiting')
    await openRoom(hub.url, { name: 'Kitchen', code: 'KITCHEN' })
    t.match(await agent.until('joined'), { participantId: 'alice' })
  })

  t.test(`${via}: leaving while the hub is away ends all the same, and keeps the token`, async (t) => {
    const stateDir = t.testdir({})
    const hub = await restartable(t)
    await openRoom(hub.url, { name: 'Kitchen', code: 'KITCHEN' })
    const llm = await startFakeLlm(t, ollama('a'))
    const agent = await startAgent(t, { via, hubUrl: hub.url, code: 'KITCHEN', endpoint: llm.url, stateDir })
    await hub.stop()
    await agent.membership.leave()
    t.match(await agent.end, { reason: 'asked' })
    t.equal((await openIdentities(stateDir).list()).length, 1)
  })
}

t.test(
  'tunnel: who pauses it is heard at once, however far the next beat is, and however often it happens',
  async (t) => {
    const { room, agent } = await setUp(t, 'tunnel', { agent: { beatMs: 3_600_000, watchMs: 3_600_000 } })
    await agent.until('state', ({ state }) => state === 'online')
    for (let round = 0; round < 60; round += 1) {
      await room.changeParticipant('alice', { paused: true }, room.hostToken)
      await room.changeParticipant('alice', { paused: false }, room.hostToken)
    }
    await room.changeParticipant('alice', { paused: true }, room.hostToken)
    await eventually(
      () => agent.membership.state,
      (state) => state === 'paused',
    )
    await room.changeParticipant('alice', { paused: false }, room.hostToken)
    await eventually(
      () => agent.membership.state,
      (state) => state === 'online',
    )
    t.match((await room.look('alice')).body.participant, { status: 'online' })
  },
)

t.test('tunnel: what was served is counted on, whatever came in between', async (t) => {
  const { room, llm, agent } = await setUp(t, 'tunnel')
  const served = (count: number) =>
    agent.until('served', ({ requests, running }) => requests === count && running === 0)
  await room.chat()
  await served(1)
  llm.answer((_request, response) => void response.destroy())
  await agent.until('state', ({ state }) => state === 'away')
  llm.answer(ollama('a', 'b'))
  await agent.until('state', ({ state }) => state === 'online')
  t.equal(agent.membership.served().requests, 1)
  await room.chat()
  await served(2)
})

t.test('tunnel: what ends while it leaves is told as ended', async (t) => {
  const { room, llm, agent } = await setUp(t, 'tunnel')
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(['one ', 'two '], { pauseMs: 300 })))
  const answer = room.chat({ model: 'a', stream: true }).catch(() => undefined)
  await agent.until('served', ({ running }) => running === 1)
  await agent.membership.leave()
  await answer
  t.match(
    agent.events.findLast(({ event }) => event === 'served'),
    { requests: 1, running: 0 },
  )
})

t.test('killed while it was leaving it does not come back paused', async (t) => {
  const stateDir = t.testdir({})
  const { url, room, llm, agent } = await setUp(t, 'tunnel', { agent: { stateDir } })
  llm.answer(tells(FINDABLE.ollama!(['a']), answerNever))
  const answer = room.chat({ model: 'a' }).catch(() => undefined)
  await eventually(
    () => agent.membership.running(),
    (running) => running === 1,
  )
  void agent.membership.leave()
  await eventually(
    () => room.look('alice'),
    ({ body }) => body.participant.paused === true,
  )
  agent.membership.abandon()
  await answer
  await startAgent(t, { via: 'tunnel', hubUrl: url, code: room.room.code, endpoint: llm.url, stateDir })
  t.match((await room.look('alice')).body.participant, { status: 'online', paused: undefined })
})

t.test('paused by somebody it comes back paused, and says so', async (t) => {
  const stateDir = t.testdir({})
  const { url, room, llm, agent } = await setUp(t, 'tunnel', { agent: { stateDir } })
  await room.changeParticipant('alice', { paused: true }, room.hostToken)
  agent.membership.abandon()
  const again = await startAgent(t, { via: 'tunnel', hubUrl: url, code: room.room.code, endpoint: llm.url, stateDir })
  await again.until('state', ({ state }) => state === 'paused')
  t.match((await room.look('alice')).body.participant, { paused: true })
})

t.test('a hub that forgets it again and again is not flooded', async (t) => {
  let isForgetful = false
  let joins = 0
  const json = (status: number, body: object) => new Response(JSON.stringify(body), { status })
  const forgetful: typeof fetch = async (input, init) => {
    const path = new URL(String(input)).pathname
    if (init?.method === 'POST' && path.endsWith('/join')) joins += 1
    if (isForgetful && path.endsWith('/health')) return json(404, { error: 'Participant not found' })
    // Another room by now, as far as anybody can tell.
    if (isForgetful && /^\/rooms\/\w+$/.test(path)) return json(200, { room: { id: 'other', code: 'X', name: 'X' } })
    return fetch(input, init)
  }
  const { agent } = await setUp(t, 'direct', { agent: { fetch: forgetful } })
  await agent.until('joined')
  isForgetful = true
  await new Promise((resolve) => setTimeout(resolve, 1500))
  t.ok(joins > 2, 'it does try')
  t.ok(joins < 40, `${joins} joins`)
  isForgetful = false
  await agent.until('joined')
})

for (const [what, code] of [
  ['knows nobody', 'PTL_PARTICIPANT_NOT_FOUND'],
  ['takes no token', 'PTL_TOKEN_REQUIRED'],
] as const) {
  for (const every of [1, 2]) {
    t.test(
      `a hub that takes every join and ${what} at look ${every} of it: each join but the first is waited for`,
      async (t) => {
        const refusal = Object.assign(new Error('no'), { code })
        const count = { joins: 0, looks: 0, waits: 0 }
        const participant = { id: 'alice', nickname: 'Alice', models: ['a'], status: 'online' } as never
        const refuse = async () => {
          throw refusal
        }
        const hub = {
          join: async () => {
            count.joins += 1
            return { participant, roomId: `room ${count.joins}`, token: 'token' }
          },
          room: async () => ({ id: 'other', code: 'KITCHEN', name: 'Kitchen' }),
          participant: async () => {
            count.looks += 1
            return count.looks % every === 0 ? refuse() : participant
          },
          heartbeat: async () => {},
          updateParticipant: refuse,
          leave: async () => {},
        }
        const backoff = {
          nextMs: () => {
            count.waits += 1
            return 1
          },
          reset: () => {},
        }
        const llm = await startFakeLlm(t, ollama('a'))
        const transport = {
          via: 'tunnel' as const,
          joinFields: async () => ({ tunnel: true }),
          open: async () => anyLink,
        }
        const more = { hub, transport, backoff, beatMs: 1 }
        await startAgent(t, { hubUrl: 'http://127.0.0.1:1', code: 'KITCHEN', endpoint: llm.url, ...more })
        await eventually(
          () => count.joins,
          (joins) => joins >= 10,
        )
        t.ok(count.waits >= count.joins - 1, JSON.stringify(count))
      },
    )
  }
}

const anyLink = {
  beat: async () => {},
  running: () => 0,
  served: () => undefined,
  drain: async () => {},
  close: () => {},
}
