import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import type { EventBus } from '../../plugins/event-bus/bus.ts'
import { announceWrites } from '../../plugins/room-store/announce.ts'
import { COALESCE_MS } from '../../plugins/room-store/coalesce.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import type { Participant } from '../../schemas/participant.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { participant } from '../support/participants.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'
import { type EventReader, readEvents } from '../support/sse.ts'
import { framesSoFar } from '../support/wire.ts'

async function startRoom(t: Test) {
  const { url } = await startHub(t)
  const managed = await manageRoom(url)
  const { token } = await join(url, managed.room.code)
  const own = await readEvents(t, `${managed.base}/events`)
  return { ...managed, url, token, own }
}

function updates({ frames }: Pick<EventReader, 'frames'>): Participant[] {
  return frames.flatMap(({ event, data }) => (event === 'participant:updated' ? [data as unknown as Participant] : []))
}

t.test('participant:updated carries the participant as it is shown', async (t) => {
  const { changeParticipant, look, own, token } = await startRoom(t)
  await changeParticipant('alice', { slots: 4, config: { seed: 7 } }, token)
  t.strictSame((await own.next('participant:updated')).data, (await look('alice')).body.participant)
})

t.test('it goes to the room alone', async (t) => {
  const { url, changeParticipant, own, token } = await startRoom(t)
  const others = [`${url}/events`, `${(await manageRoom(url)).base}/events`]
  const readers = await Promise.all(others.map((other) => readEvents(t, other)))
  await changeParticipant('alice', { slots: 4 }, token)
  await own.next('participant:updated')
  for (const reader of readers) t.strictSame(updates({ frames: await framesSoFar(url, reader) }), [])
})

t.test('a burst of changes: at most one a second, and the last one tells the last state', async (t) => {
  const { changeParticipant, own, token } = await startRoom(t)
  const begun = performance.now()
  for (let slots = 1; slots <= 20; slots++) await changeParticipant('alice', { slots }, token)
  while (updates(own).at(-1)?.slots !== 20) await own.next('participant:updated')
  const seconds = Math.floor((performance.now() - begun) / 1000)
  t.ok(updates(own).length <= seconds + 1, `${updates(own).length} events in less than ${seconds + 1} s`)
})

t.test('a burst of one participant holds up no other one', async (t) => {
  const { url, room, changeParticipant, own, token } = await startRoom(t)
  const bob = await join(url, room.code, { id: 'bob' })
  for (const slots of [1, 2, 3]) await changeParticipant('alice', { slots }, token)
  await changeParticipant('bob', { slots: 9 }, bob.token)
  const told = updates({ frames: await framesSoFar(url, own) })
  t.ok(told.some(({ id, slots }) => id === 'bob' && slots === 9))
})

t.test('no participant:updated holds a secret', async (t) => {
  const { changeParticipant, own, token } = await startRoom(t)
  await changeParticipant('alice', { slots: 4 }, token)
  const { text } = await own.next('participant:updated')
  t.notOk(text.includes(token))
  t.notMatch(text, NAMES_A_SECRET)
})

t.test('who has left is not updated any more', async (t) => {
  const { url, base, changeParticipant, own, token } = await startRoom(t)
  for (const slots of [1, 2, 3]) await changeParticipant('alice', { slots }, token)
  await call('DELETE', `${base}/leave/alice`, undefined, bearer(token))
  // Another one's pause, begun later, has passed when its second change is told.
  const { token: another } = await join(url, base.slice(-6), { id: 'bob' })
  for (const slots of [1, 2]) await changeParticipant('bob', { slots }, another)
  while (updates(own).at(-1)?.slots !== 2 || updates(own).at(-1)?.id !== 'bob') await own.next('participant:updated')
  const left = own.frames.findIndex(({ event }) => event === 'participant:left')
  t.strictSame(
    updates({ frames: own.frames.slice(left) }).map(({ id }) => id),
    ['bob', 'bob'],
  )
})

type Told = [type: string, data: unknown]

/** A store that tells what it writes, and time that only the test lets pass. */
async function build(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const told: Told[] = []
  const keep = (_room: string, type: string, data: unknown) => void told.push([type, structuredClone(data)])
  const bus: Pick<EventBus, 'publishToHub' | 'publishToRoom' | 'endRoom'> = {
    publishToHub() {},
    publishToRoom: keep,
    endRoom() {},
  }
  const store = announceWrites(new MemoryRoomStore(), bus)
  const host = { hostId: 'h', hostTokenHash: hashToken('h') }
  const { room } = await store.createRoom({ name: 'x', ...host, listed: true, defaults: {}, createdAt: 0 })
  const owner = { tokenHash: hashToken('alice'), tokenUsed: false }
  const entry = { participant: participant(), target: { origin: 'http://127.0.0.1:1', basePath: '' }, owner }
  await store.join(room.id, entry, {})
  const lastState = async () => (await store.getParticipant(room.id, 'alice')).participant
  const lastTold = () => told.findLast(([type]) => type.startsWith('participant:'))?.[1]
  return { store, roomId: room.id, told, lastState, lastTold }
}

t.test('what is told at the end of a pause is the state as it is then: who went offline is offline', async (t) => {
  const { store, roomId, told, lastState, lastTold } = await build(t)
  for (const slots of [1, 2]) await store.updateParticipant(roomId, 'alice', { slots })
  await store.takeSilent(100_000, 30_000)
  mock.timers.tick(COALESCE_MS)
  await new Promise(setImmediate)
  const states = told.flatMap(([type, data]) => (type === 'participant:updated' ? [data as Participant] : []))
  t.equal((await lastState()).status, 'offline')
  // Told again as offline, or not at all: both are true.
  t.notOk(
    states.slice(1).some(({ status }) => status === 'online'),
    JSON.stringify(lastTold()),
  )
})

t.test('and who came back is there', async (t) => {
  const { store, roomId, lastState, lastTold } = await build(t)
  await store.takeSilent(100_000, 30_000)
  for (const slots of [1, 2]) await store.updateParticipant(roomId, 'alice', { slots })
  await store.heartbeat(roomId, 'alice', { tokenHash: hashToken('alice') }, 200_000)
  mock.timers.tick(COALESCE_MS)
  await new Promise(setImmediate)
  t.strictSame(lastTold(), await lastState())
})

t.test('a heartbeat in between makes nobody younger', async (t) => {
  const { store, roomId, lastState, lastTold } = await build(t)
  for (const slots of [1, 2]) await store.updateParticipant(roomId, 'alice', { slots })
  await store.heartbeat(roomId, 'alice', { tokenHash: hashToken('alice') }, 2000)
  mock.timers.tick(COALESCE_MS)
  await new Promise(setImmediate)
  t.strictSame(lastTold(), await lastState())
})

t.test('who joined anew meanwhile is not told as what it was before', async (t) => {
  const { store, roomId, told } = await build(t)
  for (const slots of [1, 2]) await store.updateParticipant(roomId, 'alice', { slots })
  const owner = { tokenHash: hashToken('alice'), tokenUsed: false }
  const entry = { participant: participant(), target: { origin: 'http://127.0.0.1:1', basePath: '' }, owner }
  await store.join(roomId, entry, { tokenHash: hashToken('alice') })
  mock.timers.tick(COALESCE_MS)
  await new Promise(setImmediate)
  t.equal(told.at(-1)?.[0].startsWith('participant:updated'), false)
  t.equal(told.findLast(([type]) => type.startsWith('participant:'))?.[0], 'participant:joined')
})

t.test('a change on its own is told once', async (t) => {
  const { store, roomId, told } = await build(t)
  await store.updateParticipant(roomId, 'alice', { slots: 1 })
  mock.timers.tick(10 * COALESCE_MS)
  await new Promise(setImmediate)
  t.equal(told.filter(([type]) => type === 'participant:updated').length, 1)
})
