import type { EventBus } from '../event-bus/bus.ts'
import type { RoomStore } from './store.ts'

type Publisher = Pick<EventBus, 'publishToHub' | 'publishToRoom'>

/**
 * A store whose writes announce themselves: the one place where rooms and participants become events, whoever wrote
 * (a route, the health monitor, a tunnel). What was written is announced once, by the hub that wrote it.
 */
export function announceWrites(store: RoomStore, events: Publisher): RoomStore {
  return {
    findRoom: (code) => store.findRoom(code),
    listRooms: () => store.listRooms(),
    listParticipants: (roomId) => store.listParticipants(roomId),
    close: () => store.close(),

    async createRoom(room) {
      const record = await store.createRoom(room)
      events.publishToHub('room:created', record.room)
      return record
    },

    async join(roomId, entry, claim) {
      const record = await store.join(roomId, entry, claim)
      events.publishToRoom(roomId, 'participant:joined', record.participant)
      return record
    },

    async leave(roomId, id, claim) {
      const record = await store.leave(roomId, id, claim)
      events.publishToRoom(roomId, 'participant:left', { participantId: id })
      return record
    },

    async heartbeat(roomId, id, claim, at) {
      const beat = await store.heartbeat(roomId, id, claim, at)
      if (beat.returned) events.publishToRoom(roomId, 'participant:online', beat.record.participant)
      return beat
    },

    async takeSilent(now, timeoutMs) {
      const silent = await store.takeSilent(now, timeoutMs)
      for (const { roomId, participant } of silent) {
        events.publishToRoom(roomId, 'participant:offline', { participantId: participant.id })
      }
      return silent
    },
  }
}
