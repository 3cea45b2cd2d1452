// Statements in quotes are those of the reference document of the event stream, "Connect to Events".
import t from 'tap'
import { join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar, eventually } from '../support/wire.ts'

t.test('"Hub automatically removes the client from the SSE client map"', async (t) => {
  const { url, hub } = await startHub(t)
  const { eventBus } = await hub.app
  const { room } = await openRoom(url)
  const [first, second] = [
    await readEvents(t, `${url}/rooms/${room.code}/events`),
    await readEvents(t, `${url}/rooms/${room.code}/events`),
  ]
  t.equal(eventBus.size, 2)
  first.close()
  await eventually(() => eventBus.size === 1, 'the hub notices that the client has left')
  second.close()
  await eventually(() => eventBus.size === 0, 'the hub notices that the other client has left')
})

t.test('"No participant:left event is broadcast (SSE clients are observers, not participants)"', async (t) => {
  const { url, hub } = await startHub(t)
  const { eventBus } = await hub.app
  const { room } = await openRoom(url)
  await join(url, room.code)
  const [leaver, watcher] = [
    await readEvents(t, `${url}/rooms/${room.code}/events`),
    await readEvents(t, `${url}/rooms/${room.code}/events`),
  ]
  leaver.close()
  await eventually(() => eventBus.size === 1, 'the hub notices that the client has left')
  t.strictSame(await eventsSoFar(url, watcher), ['connected'])
})

t.test('who watches is no participant: nobody sees it come or go', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const watcher = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await readEvents(t, `${url}/rooms/${room.code}/events`)
  t.strictSame(await eventsSoFar(url, watcher), ['connected'])
  const list = await (await fetch(`${url}/rooms/${room.code}/participants`)).json()
  t.strictSame(list, { participants: [] })
})
