import type { ServerResponse } from 'node:http'
import { EventSource } from 'eventsource'
import t, { type Test } from 'tap'
import { PASSWORD, startTimedVault, statusOf, type TimedVault } from '../support/access.ts'
import { call, join } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { keepLog } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

const TICKET_MS = 5 * 60_000

interface Issued {
  ticket: string
  expiresAt: number
}

async function issue(base: string, credential = PASSWORD): Promise<Issued> {
  const { status, body } = await call<Issued>('POST', `${base}/events/ticket`, undefined, bearer(credential))
  if (status !== 201) throw new Error(`POST …/events/ticket answered ${status}`)
  return body
}

const watch = (base: string, ticket: string) => statusOf({ method: 'GET', url: `${base}/events?ticket=${ticket}` })

/** Opens a stream for so long, and closes it; resolves once the hub knows that the reader has gone. */
async function watchFor(t: Test, { base, hub, clock }: TimedVault, ticket: string, ms: number): Promise<void> {
  const { promise: gone, resolve } = Promise.withResolvers<void>()
  const { server } = await hub.app
  server.once('request', (_request, response: ServerResponse) => response.once('close', () => setImmediate(resolve)))
  const reader = await readEvents(t, `${base}/events?ticket=${ticket}`)
  await reader.next('connected')
  clock.advance(ms)
  reader.close()
  await gone
}

t.test('a ticket opens the stream of its room, as often as one likes', async (t) => {
  const { base, clock } = await startTimedVault(t)
  const { ticket, expiresAt } = await issue(base)
  t.equal(expiresAt, clock.now() + TICKET_MS)
  t.match(ticket, /^[\w-]{43}$/)
  t.strictSame([await watch(base, ticket), await watch(base, ticket)], [200, 200])
})

t.test('events come through it', async (t) => {
  const { base, url, room } = await startTimedVault(t)
  const reader = await readEvents(t, `${base}/events?ticket=${(await issue(base)).ticket}`)
  await reader.next('connected')
  await join(url, room.code, { password: PASSWORD })
  t.match((await reader.next('participant:joined')).data, { id: 'alice' })
})

t.test('it opens no other room', async (t) => {
  const { base, url } = await startTimedVault(t)
  const other = await manageRoom(url, { name: 'Other', password: PASSWORD })
  t.equal(await watch(other.base, (await issue(base)).ticket), 401)
})

t.test('it opens nothing but the stream', async (t) => {
  const { base } = await startTimedVault(t)
  const { ticket } = await issue(base)
  for (const [method, path] of [
    ['GET', '/participants'],
    ['GET', '/v1/models'],
    ['POST', '/v1/chat/completions'],
    ['POST', '/events/ticket'],
    ['POST', '/join'],
  ] as const) {
    const body = { id: 'x', nickname: 'X', model: 'm', endpoint: 'http://127.0.0.1:1' }
    const asked = { method, url: `${base}${path}?ticket=${ticket}`, ...(method === 'POST' ? { body } : {}) }
    t.equal(await statusOf(asked), 401, `${method} ${path}`)
  }
})

t.test('in a header it is none', async (t) => {
  const { base } = await startTimedVault(t)
  const { ticket } = await issue(base)
  t.equal(await statusOf({ method: 'GET', url: `${base}/events`, headers: bearer(ticket) }), 401)
})

t.test('unused it is good for five minutes', async (t) => {
  const { base, clock } = await startTimedVault(t)
  const { ticket } = await issue(base)
  clock.advance(TICKET_MS - 1)
  t.equal(await watch(base, ticket), 200)
  const second = await issue(base)
  clock.advance(TICKET_MS)
  t.equal(await watch(base, second.ticket), 401)
})

t.test('it is good while its stream lives', async (t) => {
  const { base, clock } = await startTimedVault(t)
  const { ticket } = await issue(base)
  const reader = await readEvents(t, `${base}/events?ticket=${ticket}`)
  await reader.next('connected')
  clock.advance(3 * TICKET_MS)
  t.equal(await watch(base, ticket), 200)
})

t.test('and five minutes beyond', async (t) => {
  const vault = await startTimedVault(t)
  const { ticket } = await issue(vault.base)
  await watchFor(t, vault, ticket, 3 * TICKET_MS)
  vault.clock.advance(TICKET_MS - 1)
  t.equal(await watch(vault.base, ticket), 200)
})

t.test('and no longer', async (t) => {
  const vault = await startTimedVault(t)
  const { ticket } = await issue(vault.base)
  await watchFor(t, vault, ticket, 3 * TICKET_MS)
  vault.clock.advance(TICKET_MS)
  t.equal(await watch(vault.base, ticket), 401)
})

t.test('setting the clock neither ends it nor keeps it', async (t) => {
  const { base, clock } = await startTimedVault(t)
  const { ticket } = await issue(base)
  clock.set(clock.now() + 10 * TICKET_MS)
  t.equal(await watch(base, ticket), 200)
  const second = await issue(base)
  clock.set(clock.now() - 20 * TICKET_MS)
  clock.advance(TICKET_MS)
  t.equal(await watch(base, second.ticket), 401)
})

t.test('a change of the password ends it, also where the new one is the old', async (t) => {
  for (const password of ['a new one', PASSWORD]) {
    const { base, change } = await startTimedVault(t)
    const { ticket } = await issue(base)
    await change({ password })
    t.equal(await watch(base, ticket), 401)
  }
})

t.test('a ticket of an open room is none once the room has a password', async (t) => {
  const { url } = await startTimedVault(t)
  const { base, change } = await manageRoom(url)
  const { ticket } = await issue(base)
  await change({ password: PASSWORD })
  t.equal(await watch(base, ticket), 401)
})

t.test('any other change of the room leaves it', async (t) => {
  const { base, change } = await startTimedVault(t)
  const { ticket } = await issue(base)
  await change({ name: 'Another name', listed: false })
  t.equal(await watch(base, ticket), 200)
})

t.test('one that is made up, empty or there twice is wrong', async (t) => {
  const { base } = await startTimedVault(t)
  const { ticket } = await issue(base)
  for (const query of ['x'.repeat(43), '', 'x'.repeat(5000), `${ticket}x`, `${ticket}&ticket=${ticket}`]) {
    const status = await watch(base, query)
    t.ok(status === 401 || status === 400, `${query.slice(0, 60)}: ${status}`)
  }
})

t.test('made-up tickets are no guesses at the password: nothing is hashed', async (t) => {
  const { base } = await startTimedVault(t, { guessesPerMinute: 1 })
  for (let guess = 0; guess < 5; guess += 1) t.equal(await watch(base, `made-up-${guess}`), 401)
})

t.test('a browser comes back with it when the connection is lost', async (t) => {
  const { base, hub, url, room } = await startTimedVault(t)
  const source = new EventSource(`${base}/events?ticket=${(await issue(base)).ticket}`)
  t.teardown(() => source.close())
  let connections = 0
  source.addEventListener('connected', () => {
    connections += 1
  })
  await eventually(() => connections === 1, 'the first connection')
  const { server } = await hub.app
  server.closeAllConnections()
  await eventually(() => connections === 2, 'the second connection', 15_000)
  const { promise: joined, resolve } = Promise.withResolvers<string>()
  source.addEventListener('participant:joined', ({ data }) => resolve(data))
  await join(url, room.code, { password: PASSWORD })
  t.match(JSON.parse(await joined), { id: 'alice' })
})

t.test('it is never logged, be it right, wrong or where none belongs', async (t) => {
  const { logger, lines } = keepLog()
  const { base, url } = await startTimedVault(t, { logger })
  const { ticket } = await issue(base)
  t.equal(await watch(base, ticket), 200)
  t.equal(await watch(base, `${ticket}x`), 401)
  for (const path of [`${base}/nowhere`, `${url}/nowhere`, `${url}/events`])
    await statusOf({ method: 'GET', url: `${path}?ticket=${ticket}` })
  await call('GET', `${url}/rooms/LASTLAST`)
  await eventually(() => lines.some((line) => line.includes('"status":404')), 'the log')
  t.notMatch(lines.join(''), ticket)
})
