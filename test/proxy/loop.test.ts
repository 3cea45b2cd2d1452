import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { join } from '../support/hub.ts'
import { openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

/** Another address of the same hub, as a port mapping or a reverse proxy makes one. */
async function mapPort(t: Test, port: number): Promise<string> {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.on('error', () => far.destroy()).pipe(far)
    far.on('error', () => near.destroy()).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a participant that is the hub itself ends in 508, not in a circle', async (t) => {
  const { url, code, chatUrl, eventsUrl } = await openKitchen(t)
  const events = await readEvents(t, eventsUrl)
  const mapped = await mapPort(t, Number(new URL(url).port))
  await join(url, code, { id: 'loop', nickname: 'Loop', model: 'endless', endpoint: `${mapped}/rooms/${code}` })
  const answer = await send(t, chatUrl, { model: 'endless' })
  t.equal(answer.status, 508)
  t.equal(errorOf(answer).code, 'PTL_LOOP_DETECTED')
  t.match(errorOf(answer).message, 'points back at it')
  t.match((await events.next('llm:error')).data, { participantId: 'loop' })
  t.equal(events.frames.filter(({ event }) => event === 'llm:request').length, 1, 'it went around once')
})

t.test('a circle of two hubs is found as well', async (t) => {
  const one = await openKitchen(t)
  const two = await openKitchen(t)
  await join(one.url, one.code, { id: 'two', model: 'endless', endpoint: `${two.url}/rooms/${two.code}` })
  await join(two.url, two.code, { id: 'one', model: 'endless', endpoint: `${one.url}/rooms/${one.code}` })
  const answer = await send(t, one.chatUrl, { model: 'endless' })
  t.equal(answer.status, 508)
  t.equal(errorOf(answer).code, 'PTL_LOOP_DETECTED')
})

t.test('a hub behind another hub is no circle', async (t) => {
  const far = await openKitchen(t)
  const { chatUrl, url, code } = await openKitchen(t)
  await join(url, code, { id: 'gateway', model: 'far', endpoint: `${far.url}/rooms/${far.code}/v1` })
  await join(far.url, far.code, { id: 'bob', model: 'far', endpoint: far.llm.url })
  t.equal((await send(t, chatUrl, { model: 'far' })).status, 200)
})
