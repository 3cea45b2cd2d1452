// Statements in quotes are those of the reference document of the event stream, "Connect to Events".
import t, { type Test } from 'tap'
import { createHub } from '../../src/hub.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { ownPort } from '../support/ports.ts'
import { readEvents } from '../support/sse.ts'

/** A hub with a room, a participant and a watcher, closed; and the next one at the same address. */
async function restart(t: Test) {
  const port = await ownPort()
  const { hub, url } = await startHub(t, { port })
  const { room } = await openRoom(url)
  await join(url, room.code)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  const { id } = await reader.next('connected')
  await hub.close()
  const next = await startHub(t, { port })
  t.equal(next.url, url)
  return { url, room, reader, lastEventId: id ?? '' }
}

t.test('"When the hub restarts: 1. All SSE connections are closed"', async (t) => {
  const { reader } = await restart(t)
  await reader.ended
  t.ok(reader.response.complete, 'with a proper end')
})

t.test('"2. All rooms and participants are cleared from memory"', async (t) => {
  const { url, room } = await restart(t)
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [] })
  t.equal((await call('GET', `${url}/rooms/${room.code}/participants`)).status, 404)
  t.equal((await call('GET', `${url}/rooms/${room.code}/events`)).status, 404)
})

t.test('"3. Clients must reconnect and participants must rejoin"', async (t) => {
  const { url, room } = await restart(t)
  t.equal((await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })).status, 404)
  const { room: next } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${next.code}/events`)
  await join(url, next.code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})

t.test('an id of the hub that was says `gap` and replays nothing', async (t) => {
  const { url, lastEventId } = await restart(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`, { 'last-event-id': lastEventId })
  t.ok(await reader.next('gap'))
  t.strictSame(
    reader.frames.map(({ event }) => event),
    ['connected', 'gap'],
  )
})

t.test('"The hub closes all SSE connections when calling Hub.close()"', async (t) => {
  const port = await ownPort()
  const { hub, url } = await startHub(t, { port })
  const [kitchen, garden] = [(await openRoom(url)).room, (await openRoom(url)).room]
  const paths = [
    `/rooms/${kitchen.code}/events`,
    `/rooms/${kitchen.code}/events`,
    `/rooms/${garden.code}/events`,
    '/events',
  ]
  const readers = await Promise.all(paths.map((path) => readEvents(t, `${url}${path}`)))
  await hub.close()
  await Promise.all(readers.map(({ ended }) => ended))
  for (const { response } of readers) t.ok(response.complete, 'with a proper end')
})

t.test('"const hub = createHub(); … hub.close()" ends without ever having listened, and twice', async (t) => {
  const hub = createHub()
  await t.resolves(hub.close())
  await t.resolves(hub.close())
})

t.test('"stops health checks": a closed hub no longer asks what time it is', async (t) => {
  let looks = 0
  const clock = { now: () => ++looks && Date.now(), elapsed: () => performance.now() }
  const { hub } = await startHub(t, { clock, healthTickMs: 10, eventKeepAliveMs: 10 })
  const started = looks
  await hasTicked()
  t.ok(looks > started, 'an open hub looks at each tick')
  await hub.close()
  const closed = looks
  await hasTicked()
  t.equal(looks, closed)
})

/** Several ticks of 10 ms; that something does not happen announces itself by no event. */
function hasTicked(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 150))
}
