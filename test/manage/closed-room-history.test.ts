import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import type { EventBus } from '../../plugins/event-bus/bus.ts'
import { MemoryEventBus } from '../../plugins/event-bus/memory-bus.ts'
import { announceWrites } from '../../plugins/room-store/announce.ts'
import { COALESCE_MS } from '../../plugins/room-store/coalesce.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import { manualClock } from '../support/clock.ts'
import { answerNever, startFakeLlm } from '../support/fake-llm.ts'
import { join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'
import { participant } from '../support/participants.ts'
import { eventually } from '../support/wire.ts'

/** How many events the bus has kept for a room, as the id that a subscriber is greeted with says. */
function keptFor(bus: EventBus, roomId: string): number {
  let greeting = ''
  const write = (frame: string) => {
    greeting += frame
    return true
  }
  bus.subscribe({ roomId, clientId: 'x', sink: { write, end() {} } }).close()
  return Number(/^id: .*\.(\d+)$/m.exec(greeting)?.[1])
}

t.test('what ends behind its room leaves no history of a room that nobody can watch', async (t) => {
  const [{ url, hub }, llm] = [await startHub(t, { graceMs: 10 }), await startFakeLlm(t, answerNever)]
  const { eventBus, ollamaProxy } = await hub.app
  const { room, chat, close } = await manageRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  t.ok(keptFor(eventBus, room.id) > 0, 'while it is open there is one')
  const answer = chat()
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  await close()
  t.equal((await answer).status, 503)
  await eventually(() => ollamaProxy.inFlight === 0, 'nothing in flight')
  t.equal(keptFor(eventBus, room.id), 0)
})

/** A store that announces its writes on a bus, and a room with Alice in it. */
async function build(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const bus = new MemoryEventBus({ clock: manualClock(), epoch: 'e', historyEvents: 10, stallMs: 1000 })
  const store = announceWrites(new MemoryRoomStore(), bus)
  const host = { hostId: 'h', hostTokenHash: hashToken('h') }
  const { room } = await store.createRoom({ name: 'x', ...host, listed: true, defaults: {}, createdAt: 0 })
  const owner = { tokenHash: hashToken('alice'), tokenUsed: false }
  const target = { origin: 'http://127.0.0.1:1', basePath: '' }
  await store.join(room.id, { participant: participant(), target, owner }, {})
  return { bus, store, roomId: room.id }
}

t.test('a change of a participant that was still to be told is not told behind the end of its room', async (t) => {
  const { bus, store, roomId } = await build(t)
  for (const slots of [1, 2, 3]) await store.updateParticipant(roomId, 'alice', { slots })
  await store.closeRoom(roomId)
  mock.timers.tick(COALESCE_MS)
  t.equal(keptFor(bus, roomId), 0)
})

t.test('nor is a change of the room itself', async (t) => {
  const { bus, store, roomId } = await build(t)
  for (const name of ['a', 'b', 'c']) await store.updateRoom(roomId, { name })
  await store.closeRoom(roomId)
  mock.timers.tick(COALESCE_MS)
  await new Promise(setImmediate)
  t.equal(keptFor(bus, roomId), 0)
})

t.test('nor a participant that a room’s end takes along', async (t) => {
  const { bus, store, roomId } = await build(t)
  for (const slots of [1, 2]) await store.updateParticipant(roomId, 'alice', { slots })
  await store.removeParticipant(roomId, 'alice')
  await store.closeRoom(roomId)
  mock.timers.tick(COALESCE_MS)
  t.equal(keptFor(bus, roomId), 0)
})
