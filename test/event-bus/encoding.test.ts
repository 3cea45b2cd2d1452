import { nanoid } from 'nanoid'
import t from 'tap'
import type { EventBus } from '../../plugins/event-bus/bus.ts'
import { MemoryEventBus } from '../../plugins/event-bus/memory-bus.ts'
import type { EventData } from '../../schemas/events.ts'
import { manualClock } from '../support/clock.ts'
import { OTHER_ROOM, Reader, ROOM } from './contract/kit.ts'

type Left = EventData<'participant:left'>

/** Event data that counts how often it was turned into JSON. */
class Counting {
  readonly participantId = 'alice'
  encoded = 0

  toJSON(): Left {
    this.encoded += 1
    return { participantId: this.participantId }
  }
}

function createBus(): EventBus {
  return new MemoryEventBus({ clock: manualClock(), epoch: nanoid(8), historyEvents: 100, stallMs: 1000 })
}

t.test('an event that nobody reads is never encoded', async (t) => {
  const bus = createBus()
  const [inRoom, inHub, inFeed] = [new Counting(), new Counting(), new Counting()]
  bus.publishToRoom(ROOM, 'participant:left', inRoom)
  bus.publishToHub('participant:left', inHub)
  bus.publishToRoom(ROOM, 'participant:left', inFeed, { feed: true })
  t.strictSame([inRoom.encoded, inHub.encoded, inFeed.encoded], [0, 0, 0])
})

t.test('who reads another room, or is behind, makes nobody encode', async (t) => {
  const bus = createBus()
  new Reader(bus, { roomId: OTHER_ROOM })
  new Reader(bus, { room: 1 })
  const data = new Counting()
  bus.publishToRoom(ROOM, 'participant:left', data)
  t.equal(data.encoded, 0)
})

t.test('a room’s event is encoded once for all who read it', async (t) => {
  const bus = createBus()
  const readers = Array.from({ length: 20 }, () => new Reader(bus))
  const data = new Counting()
  bus.publishToRoom(ROOM, 'participant:left', data)
  t.ok(readers.every(({ events }) => events.length === 1))
  t.equal(data.encoded, 1)
})

t.test('a hub-wide event is encoded once for all rooms and the feed', async (t) => {
  const bus = createBus()
  const readers = [ROOM, OTHER_ROOM, null].map((roomId) => new Reader(bus, { roomId }))
  const data = new Counting()
  bus.publishToHub('participant:left', data)
  t.ok(readers.every(({ events }) => events.length === 1))
  t.equal(data.encoded, 1)
})

t.test('a room’s event that goes to the feed too is encoded once for both', async (t) => {
  const bus = createBus()
  const readers = [ROOM, null].map((roomId) => new Reader(bus, { roomId }))
  const data = new Counting()
  bus.publishToRoom(ROOM, 'participant:left', data, { feed: true })
  t.ok(readers.every(({ events }) => events.length === 1))
  t.equal(data.encoded, 1)
})

t.test('a replay and a reader that catches up encode nothing anew', async (t) => {
  const bus = createBus()
  const live = new Reader(bus)
  const slow = new Reader(bus, { room: 1 })
  const data = new Counting()
  bus.publishToRoom(ROOM, 'participant:left', data)
  const again = new Reader(bus, { lastEventId: live.frames[0]?.id ?? '' })
  slow.resume()
  t.ok([live, slow, again].every(({ events }) => events.length === 1))
  t.equal(data.encoded, 1)
})

t.test('an event is encoded when it is first replayed, where nobody has read it live', async (t) => {
  const bus = createBus()
  const before = new Reader(bus)
  before.close()
  const data = new Counting()
  bus.publishToRoom(ROOM, 'participant:left', data)
  new Reader(bus, { lastEventId: before.lastId })
  t.equal(data.encoded, 1)
})
