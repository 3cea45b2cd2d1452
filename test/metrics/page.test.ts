import { randomUUID } from 'node:crypto'
import { register } from 'prom-client'
import t, { type Test } from 'tap'
import { manifest } from '../../src/version.ts'
import { statusOf } from '../support/access.ts'
import { post, send } from '../support/chat.ts'
import { answerNever, answerPlain } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { openKitchen } from '../support/kitchen.ts'
import { bearer } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { type Family, parseMetrics, valueIn } from '../support/prometheus.ts'
import { readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

const PLAIN = { model: '*', messages: [{ role: 'user', content: 'hi' }] }

async function pageOf(url: string): Promise<string> {
  const response = await fetch(`${url}/metrics`)
  if (response.status !== 200) throw new Error(`GET /metrics answered ${response.status}`)
  return response.text()
}

async function read(url: string): Promise<Map<string, Family>> {
  return parseMetrics(await pageOf(url))
}

async function valueAt(url: string, name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  return valueIn(await read(url), name, labels)
}

/** Participants by their status. */
async function participantsAt(url: string): Promise<(number | undefined)[]> {
  const families = await read(url)
  return ['online', 'busy', 'offline'].map((status) => valueIn(families, 'potluck_participants', { status }))
}

/** A hub that has done a little of everything. */
async function startBusyHub(t: Test) {
  const kitchen = await openKitchen(t, answerPlain('Hello'))
  await readEvents(t, kitchen.eventsUrl)
  await send(t, kitchen.chatUrl, PLAIN)
  return kitchen
}

t.test('it is a page in the text format, and says so', async (t) => {
  const { url } = await startBusyHub(t)
  const response = await fetch(`${url}/metrics`)
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  t.ok(parseMetrics(await response.text()).size > 10)
})

t.test('every name begins with potluck_, counters end in _total, and every family says what it is', async (t) => {
  const { url } = await startBusyHub(t)
  for (const { name, type, help } of (await read(url)).values()) {
    t.match(name, /^potluck_[a-z_]+$/)
    t.equal(name.endsWith('_total'), type === 'counter', name)
    t.match(help, /^[A-Z].{5,}[^.]$/)
  }
})

const LABELS = new Set(['protocol', 'outcome', 'direction', 'status', 'le', 'version', 'node'])

t.test('no other labels than these are on it, and nobody is named', async (t) => {
  const { url, code } = await startBusyHub(t)
  const page = await pageOf(url)
  const samples = [...parseMetrics(page).values()].flatMap((family) => family.samples)
  for (const name of new Set(samples.flatMap(({ labels }) => Object.keys(labels)))) t.ok(LABELS.has(name), name)
  t.notMatch(page, new RegExp(`${code}|kitchen|alice|llama|127\\.0\\.0\\.1`, 'i'))
})

t.test('it tells which version runs', async (t) => {
  const { url } = await startHub(t)
  t.equal(await valueAt(url, 'potluck_build_info', { version: manifest.version, node: process.version }), 1)
})

t.test('rooms are counted as they come and go, unlisted ones included', async (t) => {
  const { url } = await startHub(t)
  t.equal(await valueAt(url, 'potluck_rooms'), 0)
  const { room, hostToken } = await openRoom(url)
  await openRoom(url, { name: 'Hidden', listed: false })
  t.equal(await valueAt(url, 'potluck_rooms'), 2)
  await call('DELETE', `${url}/rooms/${room.code}`, undefined, bearer(hostToken))
  t.equal(await valueAt(url, 'potluck_rooms'), 1)
})

t.test('participants are counted by status', async (t) => {
  const { url, pass } = await startTimedHub(t)
  t.same(await participantsAt(url), [0, 0, 0])
  const { room } = await openRoom(url)
  const { token } = await join(url, room.code)
  await join(url, room.code, { id: 'bob' })
  await call('PATCH', `${url}/rooms/${room.code}/participants/alice`, { paused: true }, bearer(token))
  t.same(await participantsAt(url), [1, 1, 0])
  await pass(31_000)
  t.same(await participantsAt(url), [0, 0, 2])
})

t.test('event streams are counted, of rooms and of the hub', async (t) => {
  const { hub, url } = await startHub(t)
  const { eventBus } = await hub.app
  const { room } = await openRoom(url)
  const ofRoom = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await readEvents(t, `${url}/events`)
  t.equal(await valueAt(url, 'potluck_event_subscribers'), 2)
  ofRoom.close()
  await eventually(() => eventBus.size === 1, 'the hub notices that the client has left')
  t.equal(await valueAt(url, 'potluck_event_subscribers'), 1)
})

t.test('a request counts while it is in flight, and when it has ended', async (t) => {
  const { url, chatUrl, eventsUrl, llm } = await openKitchen(t, answerPlain('Hello'))
  const outcome = (kind: string) => valueAt(url, 'potluck_requests_total', { protocol: 'openai-chat', outcome: kind })
  t.equal(await outcome('complete'), undefined)
  await send(t, chatUrl, PLAIN)
  t.same([await outcome('complete'), await outcome('cancelled')], [1, 0])
  llm.answer(answerNever)
  const events = await readEvents(t, eventsUrl)
  const given = post(chatUrl, PLAIN).on('error', () => {})
  await events.next('llm:request')
  t.equal(await valueAt(url, 'potluck_requests_in_flight'), 1)
  given.destroy()
  await events.next('llm:cancelled')
  t.same([await outcome('complete'), await outcome('cancelled')], [1, 1])
  t.equal(await valueAt(url, 'potluck_requests_in_flight'), 0)
})

t.test('the tokens that a server tells are summed', async (t) => {
  const { url } = await startBusyHub(t)
  const families = await read(url)
  const tokens = ['input', 'output'].map((direction) =>
    valueIn(families, 'potluck_tokens_total', { protocol: 'openai-chat', direction }),
  )
  t.same(tokens, [7, 3])
  t.equal(valueIn(families, 'potluck_time_to_first_token_seconds_count', { protocol: 'openai-chat' }), 1)
})

t.test('it is no longer for a hub with many rooms, and all of them are counted', async (t) => {
  const { hub, url } = await startHub(t)
  const lines = (await pageOf(url)).split('\n').length
  const { roomStore } = await hub.app
  const room = {
    name: 'Kitchen',
    hostId: randomUUID(),
    hostTokenHash: '',
    listed: true,
    defaults: {},
    createdAt: Date.now(),
  }
  for (let index = 0; index < 50_000; index++) await roomStore.createRoom({ ...room, listed: index % 2 === 0 })
  const page = await pageOf(url)
  t.equal(valueIn(parseMetrics(page), 'potluck_rooms'), 50_000)
  t.equal(page.split('\n').length, lines)
})

t.test('hubs in one process count each for itself', async (t) => {
  const [one, other] = [await startBusyHub(t), await startHub(t)]
  t.equal(await valueAt(one.url, 'potluck_rooms'), 1)
  t.equal(await valueAt(other.url, 'potluck_rooms'), 0)
  t.equal((await read(other.url)).get('potluck_requests_total')?.samples.length, 0)
  t.same(register.getMetricsAsArray(), [], 'nothing stands where all would share it')
})

t.test('with an admin token it is for whoever shows that, and the answer says so to others', async (t) => {
  const admin = 'an-admin-token-of-a-hub'
  const { url } = await startHub(t, { adminToken: admin })
  const { status, body } = await call('GET', `${url}/metrics`)
  t.equal(status, 401)
  t.match(body.error, "the hub's admin token")
  t.equal(await statusOf({ method: 'HEAD', url: `${url}/metrics` }), 401)
  t.equal(await statusOf({ method: 'GET', url: `${url}/metrics`, headers: bearer(`${admin}x`) }), 401)
  t.equal(await statusOf({ method: 'GET', url: `${url}/metrics?token=${admin}` }), 401)
  for (const headers of [bearer(admin), { 'x-api-key': admin }])
    t.equal(await statusOf({ method: 'GET', url: `${url}/metrics`, headers }), 200)
})
