import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { until } from '../support/dispatching.ts'
import { answerPlain, answerStream, chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { bearer, startRequest } from '../support/managed.ts'
import { startRawParticipant } from '../support/raw-tunnel.ts'
import { readEvents } from '../support/sse.ts'
import { type Cable, joinByTunnel, joinTunnelled, openTunnel, startCable, untilStatus } from '../support/tunnels.ts'

async function setUp(t: Test, options: HubOptions = {}) {
  const { url, hub } = await startHub(t, options)
  const opened = await openRoom(url)
  const base = `${url}/rooms/${opened.room.code}`
  return { url, hub, code: opened.room.code, base, ...opened, events: await readEvents(t, `${base}/events`) }
}

const ask = (base: string, more: object = {}) =>
  call('POST', `${base}/v1/chat/completions`, { model: 'llama3.2:3b', messages: [], ...more })

t.test('a tunnel that breaks takes its participant offline at once, and what ran goes on to another', async (t) => {
  const { url, code, base, events } = await setUp(t, { maxAttempts: 3 })
  let stuck = ''
  const cables = new Map<string, Cable>()
  for (const id of ['alice', 'bob']) {
    const llm = await startFakeLlm(t, (request, response) => {
      if (stuck !== '') return answerPlain('Beans')(request, response)
      stuck = id
    })
    const cable = await startCable(t, url)
    cables.set(id, cable)
    await joinByTunnel(t, url, code, llm.url, { id }, { hub: cable.hub })
  }
  const answer = ask(base)
  await until(() => stuck !== '', 'it is there')
  cables.get(stuck)?.cut()
  const { status, headers } = await answer
  t.equal(status, 200)
  t.not(headers.get('x-potluck-participant'), stuck)
  t.match(await events.next('participant:offline'), { data: { participantId: stuck, reason: 'Its tunnel broke' } })
  t.match(await events.next('llm:error'), { data: { participantId: stuck, error: /tunnel broke/, retrying: true } })
})

t.test('what had begun ends with the error of its protocol', async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => {
    startStream(response)
    response.write(chunkOf('Be'))
  })
  const { url, code, base } = await setUp(t)
  const cable = await startCable(t, url)
  await joinByTunnel(t, url, code, llm.url, {}, { hub: cable.hub })
  const body = { model: 'llama3.2:3b', messages: [], stream: true }
  const open = await startRequest(t, `${base}/v1/chat/completions`, body)
  await until(() => open.text().includes('Be'), 'it has begun')
  cable.cut()
  await open.ended
  t.match(open.text(), /Be.*broke off: Its tunnel broke/s)
})

t.test('no tunnel is an error before anything was sent, and at once', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code, base, hub } = await setUp(t)
  const cable = await startCable(t, url)
  const { participant } = await joinByTunnel(t, url, code, llm.url, {}, { hub: cable.hub })
  const app = await hub.app
  const record = await app.roomStore.getParticipant((await app.roomStore.findRoom(code))!.room.id, participant.id)
  cable.cut()
  await untilStatus(url, code, 'alice', (status) => status === 'offline')
  const { origin } = record.target
  await t.rejects(app.tunnel.dispatcherFor(record).request({ origin, path: '/v1/models', method: 'GET' }), {
    code: 'PTL_TUNNEL_GONE',
  })
  t.equal((await ask(base)).status, 503)
})

t.test('a second tunnel takes the place of the first, and nobody sees it go', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url, code, base, events } = await setUp(t)
  const { tunnel: first, token } = await joinByTunnel(t, url, code, llm.url)
  await events.next('participant:online')
  const second = await openTunnel(t, url, code, { token, endpoint: llm.url })
  t.match(await first.closed, { code: 4001, reason: /took its place/ })
  t.equal((await ask(base)).status, 200)
  t.equal(second.served.length, 1)
  const seen = events.frames.map(({ event }) => event).filter((event) => event?.startsWith('participant:'))
  t.strictSame(seen, ['participant:joined', 'participant:online'])
})

t.test('it comes back by a new tunnel, without joining anew', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url, code, base, events } = await setUp(t)
  const { tunnel, token } = await joinByTunnel(t, url, code, llm.url)
  await events.next('participant:online')
  tunnel.close()
  t.match(await events.next('participant:offline'), { data: { reason: 'It closed its tunnel' } })
  await openTunnel(t, url, code, { token, endpoint: llm.url })
  await events.next('participant:online')
  t.equal((await ask(base)).status, 200)
  t.equal(events.frames.filter(({ event }) => event === 'participant:joined').length, 1)
})

t.test('who joins anew opens a new tunnel; the old one leads nowhere', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code } = await setUp(t)
  const { tunnel, token } = await joinByTunnel(t, url, code, llm.url)
  const again = await joinTunnelled(url, code, {}, token)
  t.match(await tunnel.closed, { code: 4001, reason: /joined anew/ })
  t.equal(again.participant.status, 'offline')
  t.equal(again.token, token)
})

t.test('who leaves, is removed, or whose room is closed, is told so by its tunnel', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code, base, hostToken } = await setUp(t)
  const ends: [string, number, (token: string) => Promise<unknown>][] = [
    ['left', 4002, (token) => call('DELETE', `${base}/leave/left`, undefined, bearer(token))],
    ['removed', 4003, () => call('DELETE', `${base}/participants/removed`, undefined, bearer(hostToken))],
    ['closed', 4004, () => call('DELETE', base, undefined, bearer(hostToken))],
  ]
  for (const [id, expected, end] of ends) {
    const { tunnel, token } = await joinByTunnel(t, url, code, llm.url, { id })
    await end(token)
    t.equal((await tunnel.closed).code, expected, id)
  }
})

t.test('who leaves lets what runs finish', async (t) => {
  const words = Array.from({ length: 20 }, (_, index) => `${index} `)
  const llm = await startFakeLlm(t, answerStream(words, { pauseMs: 20 }))
  const { url, code, base } = await setUp(t, { graceMs: 5000 })
  const { tunnel, token } = await joinByTunnel(t, url, code, llm.url)
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'llama3.2:3b', messages: [], stream: true }),
  })
  await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))
  t.match(await response.text(), /"19 ".*\[DONE\]/s)
  t.equal((await tunnel.closed).code, 4002)
})

t.test('who stops takes nothing new, finishes what runs, and is offline meanwhile', async (t) => {
  const words = Array.from({ length: 20 }, (_, index) => `${index} `)
  const llm = await startFakeLlm(t, answerStream(words, { pauseMs: 20 }))
  const { url, code, base, events } = await setUp(t)
  const { tunnel, served } = await joinByTunnel(t, url, code, llm.url)
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'llama3.2:3b', messages: [], stream: true }),
  })
  t.equal(tunnel.inFlight, 1)
  const drained = tunnel.drain()
  t.match(await events.next('participant:offline'), { data: { reason: 'It is stopping' } })
  t.equal((await ask(base)).status, 503)
  t.match(await response.text(), /"19 ".*\[DONE\]/s)
  await drained
  t.match(served, [{ outcome: 'done' }])
  t.equal(tunnel.inFlight, 0)
})

t.test('a hub that shuts down lets what runs finish, then says that it goes', async (t) => {
  const words = Array.from({ length: 20 }, (_, index) => `${index} `)
  const llm = await startFakeLlm(t, answerStream(words, { pauseMs: 20 }))
  const { url, code, base, hub } = await setUp(t, { graceMs: 5000 })
  const { tunnel } = await joinByTunnel(t, url, code, llm.url)
  const response = await fetch(`${base}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'llama3.2:3b', messages: [], stream: true }),
  })
  const closed = hub.close()
  t.match(await response.text(), /"19 ".*\[DONE\]/s)
  await closed
  t.match(await tunnel.closed, { code: 1001 })
})

t.test('a pong is a heartbeat: while it comes, the participant is seen', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code } = await setUp(t, { tunnelPingMs: 100, offlineAfterMs: 400, healthTickMs: 50 })
  const { participant } = await joinByTunnel(t, url, code, llm.url)
  await sleep(1000)
  const { body } = await call<{ participants: { status: string; lastSeen: number }[] }>(
    'GET',
    `${url}/rooms/${code}/participants`,
  )
  t.equal(body.participants[0]?.status, 'online')
  t.ok(body.participants[0]!.lastSeen > participant.lastSeen)
})

t.test('who answers no ping is offline, although the connection stands', async (t) => {
  const { url, code, events } = await setUp(t, { tunnelPingMs: 100 })
  const { token } = await joinTunnelled(url, code)
  const raw = await startRawParticipant(t, url, code, token, { autoPong: false })
  raw.speak()
  await events.next('participant:online')
  t.match(await events.next('participant:offline'), { data: { reason: 'Nothing was heard on its tunnel' } })
  const [status] = raw.socket.readyState === raw.socket.CLOSED ? [4005] : await once(raw.socket, 'close')
  t.equal(status, 4005)
})

t.test('who pauses keeps its tunnel, and takes nothing', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url, code, base } = await setUp(t)
  const { token, served } = await joinByTunnel(t, url, code, llm.url)
  await call('PATCH', `${base}/participants/alice`, { paused: true }, bearer(token))
  t.match((await ask(base)).body, { error: { message: /paused/ } })
  await call('PATCH', `${base}/participants/alice`, { paused: false }, bearer(token))
  t.equal((await ask(base)).status, 200)
  t.equal(served.length, 1)
})

t.test('who has paused and breaks off comes back paused', async (t) => {
  const llm = await startFakeLlm(t)
  const { url, code, base, events } = await setUp(t)
  const { token, tunnel } = await joinByTunnel(t, url, code, llm.url)
  await call('PATCH', `${base}/participants/alice`, { paused: true }, bearer(token))
  await events.next('participant:online')
  tunnel.close()
  await events.next('participant:offline')
  const again = await joinTunnelled(url, code, {}, token)
  t.match(again.participant, { status: 'offline', paused: true })
  await openTunnel(t, url, code, { token, endpoint: llm.url })
  t.match(await events.next('participant:online'), { data: { status: 'busy', paused: true } })
})

t.test('a tunnel that is asked for while the hub begins to close does not keep it', async (t) => {
  const { url, hub } = await startHub(t)
  const { room } = await openRoom(url)
  const { token } = await joinTunnelled(url, room.code)
  const { roomStore, isClosing } = await hub.app
  const [asked, closing] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const real = roomStore.getParticipant.bind(roomStore)
  roomStore.getParticipant = async (...args) => {
    asked.resolve()
    await closing.promise
    return real(...args)
  }
  const opening = openTunnel(t, url, room.code, { token, endpoint: 'http://127.0.0.1:1' }).catch((error) => error)
  await asked.promise
  const closed = hub.close()
  await until(isClosing, 'it closes')
  closing.resolve()
  t.match(await opening, { status: 503 })
  await closed
})

t.test('a stream that outlasts the grace of its closed room is told that, and not that a tunnel broke', async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => {
    startStream(response)
    response.write(chunkOf('Be'))
  })
  const { url, code, base, hostToken } = await setUp(t, { graceMs: 300 })
  await joinByTunnel(t, url, code, llm.url)
  const open = await startRequest(t, `${base}/v1/chat/completions`, {
    model: 'llama3.2:3b',
    messages: [],
    stream: true,
  })
  await until(() => open.text().includes('Be'), 'it has begun')
  await call('DELETE', base, undefined, bearer(hostToken))
  await open.ended
  t.match(open.text(), /Be.*broke off: The room was closed/s)
})
