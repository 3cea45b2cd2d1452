import type { EventBus } from '../event-bus/bus.ts'
import { createCoalescer } from './coalesce.ts'
import { keyOf } from './records.ts'
import type { ParticipantRecord, RoomRecord, RoomStore } from './store.ts'

/** Somebody has joined, perhaps anew, was changed, or is gone. */
export interface Moved {
  readonly key: string
  readonly why: 'joined' | 'changed' | 'left' | 'removed'
}

/**
 * @param isClosed the room is gone; else who is in it, what they offer, or whether they take requests has changed
 * @param moved whom it is about, where somebody came, was changed or went
 */
export type RoomListener = (roomId: string, isClosed: boolean, moved?: Moved) => void

export interface WatchedRoomStore extends RoomStore {
  /** Calls back behind each write that matters for choosing among participants. @returns stops it */
  watch(listener: RoomListener): () => void
}

type Publisher = Pick<EventBus, 'publishToHub' | 'publishToRoom' | 'endRoom'>

/**
 * A store whose writes announce themselves: the one place where rooms and participants become events, whoever wrote
 * (a route, the health monitor, a tunnel). What was written is announced once, by the hub that wrote it.
 */
export function announceWrites(store: RoomStore, events: Publisher): WatchedRoomStore {
  const listeners = new Set<RoomListener>()

  const roomChanges = createCoalescer((roomId) => void tellRoom(roomId))
  /** Whom a change of a participant is about, by the key that coalesces it. */
  const changed = new Map<string, { roomId: string; id: string }>()
  const participantChanges = createCoalescer((key) => void tellParticipant(key))

  async function tellRoom(roomId: string): Promise<void> {
    // The room may have closed meanwhile; then there is nothing to tell.
    const view = await store.viewRoom(roomId).catch(() => undefined)
    if (view !== undefined) events.publishToRoom(roomId, 'room:updated', view, { feed: view.listed })
  }

  async function tellParticipant(key: string): Promise<void> {
    const { roomId, id } = changed.get(key) ?? { roomId: '', id: '' }
    changed.delete(key)
    // As it is now: since it was changed it may have gone offline, or left.
    const record = await store.getParticipant(roomId, id).catch(() => undefined)
    if (record !== undefined) events.publishToRoom(roomId, 'participant:updated', record.participant)
  }

  function tellListeners(roomId: string, isClosed = false, moved?: Moved): void {
    for (const listener of listeners) listener(roomId, isClosed, moved)
  }

  function noteChange({ key, roomId, participant }: ParticipantRecord): void {
    changed.set(key, { roomId, id: participant.id })
    participantChanges.touch(key)
  }

  function tellChange(record: ParticipantRecord): void {
    noteChange(record)
    tellListeners(record.roomId, false, { key: record.key, why: 'changed' })
  }

  function forgetChange(key: string): void {
    participantChanges.drop(key)
    changed.delete(key)
  }

  function tellGone({ roomId, key, participant }: ParticipantRecord, reason?: string): void {
    forgetChange(key)
    events.publishToRoom(roomId, 'participant:left', {
      participantId: participant.id,
      ...(reason === undefined ? {} : { reason }),
    })
    roomChanges.touch(roomId)
    tellListeners(roomId, false, { key, why: reason === undefined ? 'left' : 'removed' })
  }

  function tellOffline({ roomId, participant }: ParticipantRecord): void {
    tellListeners(roomId)
    const { id: participantId, offlineReason: reason } = participant
    events.publishToRoom(roomId, 'participant:offline', { participantId, ...(reason === undefined ? {} : { reason }) })
  }

  function tellClosed({ room, listed }: RoomRecord): void {
    roomChanges.drop(room.id)
    for (const [key, { roomId }] of changed) if (roomId === room.id) forgetChange(key)
    events.publishToRoom(room.id, 'room:closed', { roomId: room.id, code: room.code }, { feed: listed })
    events.endRoom(room.id, 'the room is closed')
    tellListeners(room.id, true)
  }

  return {
    findRoom: (code) => store.findRoom(code),
    visitRoom: (code, at) => store.visitRoom(code, at),
    viewRoom: (roomId) => store.viewRoom(roomId),
    listRooms: (page) => store.listRooms(page),
    listParticipants: (roomId) => store.listParticipants(roomId),
    findToken: (roomId, tokenHash) => store.findToken(roomId, tokenHash),
    addKey: (roomId, key, tokenHash) => store.addKey(roomId, key, tokenHash),
    listKeys: (roomId) => store.listKeys(roomId),
    removeKey: (roomId, keyId) => store.removeKey(roomId, keyId),
    getParticipant: (roomId, id) => store.getParticipant(roomId, id),
    census: () => store.census(),

    watch(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },

    takeDueProbes: (now, leaseMs, limit) => store.takeDueProbes(now, leaseMs, limit),

    async createRoom(room) {
      const record = await store.createRoom(room)
      if (record.listed) events.publishToHub('room:created', record.room)
      return record
    },

    async updateRoom(roomId, change) {
      const { record, before } = await store.updateRoom(roomId, change)
      if (record.listed && !before.listed) events.publishToHub('room:created', record.room)
      if (before.listed && !record.listed) {
        // The last that the feed hears of it: whoever lists rooms can take it off.
        events.publishToRoom(roomId, 'room:updated', await store.viewRoom(roomId), { feed: true })
      } else {
        roomChanges.touch(roomId)
      }
      return { record, before }
    },

    async closeRoom(roomId) {
      const record = await store.closeRoom(roomId)
      tellClosed(record)
      return record
    },

    async join(roomId, entry, claim) {
      const record = await store.join(roomId, entry, claim)
      forgetChange(keyOf(roomId, entry.participant.id))
      events.publishToRoom(roomId, 'participant:joined', record.participant)
      roomChanges.touch(roomId)
      tellListeners(roomId, false, { key: record.key, why: 'joined' })
      return record
    },

    async updateParticipant(roomId, id, change, claim) {
      const record = await store.updateParticipant(roomId, id, change, claim)
      tellChange(record)
      return record
    },

    async setBusy(roomId, id, isBusy) {
      const record = await store.setBusy(roomId, id, isBusy)
      if (record !== undefined) noteChange(record)
      return record
    },

    async leave(roomId, id, claim) {
      const record = await store.leave(roomId, id, claim)
      tellGone(record)
      return record
    },

    async removeParticipant(roomId, id) {
      const record = await store.removeParticipant(roomId, id)
      tellGone(record, 'removed')
      return record
    },

    async heartbeat(roomId, id, claim, at) {
      const beat = await store.heartbeat(roomId, id, claim, at)
      if (beat.returned) {
        events.publishToRoom(roomId, 'participant:online', beat.record.participant)
        tellListeners(roomId)
      }
      return beat
    },

    async takeSilent(now, timeoutMs) {
      const silent = await store.takeSilent(now, timeoutMs)
      for (const record of silent) tellOffline(record)
      return silent
    },

    async takeExpired(now, ttlMs) {
      const expired = await store.takeExpired(now, ttlMs)
      for (const record of expired) tellGone(record, 'expired')
      return expired
    },

    async takeIdleRooms(now, ttlMs) {
      const idle = await store.takeIdleRooms(now, ttlMs)
      for (const record of idle) tellClosed(record)
      return idle
    },

    async recordProbe(probed, finding) {
      const result = await store.recordProbe(probed, finding)
      if (result?.change === 'offline') tellOffline(result.record)
      if (result?.change === 'online') {
        events.publishToRoom(result.record.roomId, 'participant:online', result.record.participant)
        tellListeners(result.record.roomId)
      }
      return result
    },

    async close() {
      roomChanges.close()
      participantChanges.close()
      await store.close()
    },
  }
}
