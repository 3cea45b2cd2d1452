import { nanoid } from 'nanoid'
import { ParticipantIdTaken, ParticipantNotFound, RoomNotFound, TokenRequired } from '../../schemas/errors.ts'
import type { Status } from '../../schemas/participant.ts'
import type { ListedRoom } from '../../schemas/room.ts'
import { newRoomCode, normalizeCode } from './codes.ts'
import { afterUse, owns, ownsByToken, refuseCapture } from './ownership.ts'
import type { Claim, Heartbeat, NewParticipant, NewRoom, ParticipantRecord, RoomRecord, RoomStore } from './store.ts'

interface Shelf {
  record: RoomRecord
  readonly participants: Map<string, ParticipantRecord>
  /** What `listParticipants` hands out; made anew after a write. */
  list: readonly ParticipantRecord[] | undefined
}

/** Nothing is kept on disk. Everything happens within one turn of the event loop, so every method is atomic. */
export class MemoryRoomStore implements RoomStore {
  readonly #byCode = new Map<string, Shelf>()
  readonly #byId = new Map<string, Shelf>()
  /** Who is not offline, longest silent first: a sweep looks at those it takes and one more, however many there are. */
  readonly #alive = new Map<string, ParticipantRecord>()

  async createRoom({ name, hostId, hostTokenHash, passwordHash, defaults, createdAt }: NewRoom): Promise<RoomRecord> {
    const room = { id: nanoid(), code: this.#freeCode(), name, hostId, createdAt }
    const secret = passwordHash === undefined ? {} : { passwordHash }
    const record: RoomRecord = { room, hostTokenHash, defaults, ...secret }
    const shelf: Shelf = { record, participants: new Map(), list: undefined }
    this.#byCode.set(room.code, shelf)
    this.#byId.set(room.id, shelf)
    return record
  }

  async findRoom(code: string): Promise<RoomRecord | undefined> {
    const normalized = normalizeCode(code)
    return normalized === undefined ? undefined : this.#byCode.get(normalized)?.record
  }

  async listRooms(): Promise<ListedRoom[]> {
    return Array.from(this.#byId.values(), ({ record, participants }) => ({
      ...record.room,
      participantCount: participants.size,
    }))
  }

  async join(roomId: string, entry: NewParticipant, claim: Claim): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const { id } = entry.participant
    const present = shelf.participants.get(id)
    if (present !== undefined && !owns(present.owner, claim)) throw new ParticipantIdTaken()
    refuseCapture(entry, shelf.participants.values())
    const proven = present !== undefined && ownsByToken(present.owner, claim)
    const owner = proven ? { ...entry.owner, tokenHash: present.owner.tokenHash, tokenUsed: true } : entry.owner
    // A joiner goes to the end, also when it has been here before: the order is that of joining.
    shelf.participants.delete(id)
    return this.#put(shelf, { ...entry, owner, roomId, key: keyOf(roomId, id) })
  }

  async listParticipants(roomId: string): Promise<readonly ParticipantRecord[]> {
    const shelf = this.#byId.get(roomId)
    if (shelf === undefined) return []
    shelf.list ??= [...shelf.participants.values()]
    return shelf.list
  }

  async leave(roomId: string, id: string, claim: Claim): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const record = this.#owned(shelf, id, claim)
    shelf.participants.delete(id)
    shelf.list = undefined
    this.#alive.delete(record.key)
    return record
  }

  async heartbeat(roomId: string, id: string, claim: Claim, at: number): Promise<Heartbeat> {
    const shelf = this.#shelf(roomId)
    const record = this.#owned(shelf, id, claim)
    const returned = record.participant.status === 'offline'
    const status: Status = returned ? 'online' : record.participant.status
    const participant = { ...record.participant, status, lastSeen: at }
    return { record: this.#put(shelf, { ...record, participant, owner: afterUse(record.owner, claim) }), returned }
  }

  async takeSilent(now: number, timeoutMs: number): Promise<ParticipantRecord[]> {
    const taken: ParticipantRecord[] = []
    for (const record of this.#alive.values()) {
      if (Math.abs(now - record.participant.lastSeen) <= timeoutMs) break
      const participant = { ...record.participant, status: 'offline' as const }
      taken.push(this.#put(this.#shelf(record.roomId), { ...record, participant }))
    }
    return taken
  }

  async close(): Promise<void> {
    this.#byCode.clear()
    this.#byId.clear()
    this.#alive.clear()
  }

  #freeCode(): string {
    for (;;) {
      const code = newRoomCode()
      if (!this.#byCode.has(code)) return code
    }
  }

  #shelf(roomId: string): Shelf {
    const shelf = this.#byId.get(roomId)
    if (shelf === undefined) throw new RoomNotFound()
    return shelf
  }

  #owned(shelf: Shelf, id: string, claim: Claim): ParticipantRecord {
    const record = shelf.participants.get(id)
    if (record === undefined) throw new ParticipantNotFound()
    if (!owns(record.owner, claim)) throw new TokenRequired()
    return record
  }

  /** The one place where a participant is written: the room, its list and the order of silence agree. */
  #put(shelf: Shelf, record: ParticipantRecord): ParticipantRecord {
    shelf.participants.set(record.participant.id, record)
    shelf.list = undefined
    this.#alive.delete(record.key)
    if (record.participant.status !== 'offline') this.#alive.set(record.key, record)
    return record
  }
}

function keyOf(roomId: string, participantId: string): string {
  return `${roomId}/${participantId}`
}
