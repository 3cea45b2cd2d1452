import type { GenerationConfig, Participant } from '../../schemas/participant.ts'
import type { ListedRoom, Room } from '../../schemas/room.ts'

/** What the hub knows of a room. `room` is what everybody may see; the rest never leaves the hub. Records never change: a write makes a new one. */
export interface RoomRecord {
  readonly room: Room
  readonly hostTokenHash: string
  readonly passwordHash?: string
  readonly defaults: GenerationConfig
}

/** Where requests to a participant go: the endpoint without a trailing `/` or `/v1`. */
export interface Target {
  /** `http://192.168.1.20:11434` */
  readonly origin: string
  /** `''` or a path like `/llm`, never with a `/` at its end. */
  readonly basePath: string
}

/** Who a participant belongs to: whoever has its token or, until the token was first used, whoever has its address. */
export interface Owner {
  readonly tokenHash: string
  readonly tokenUsed: boolean
  /** Absent where addresses prove nothing. */
  readonly address?: string
}

export interface ParticipantRecord {
  readonly roomId: string
  /** Unique among all participants of all rooms. */
  readonly key: string
  readonly participant: Participant
  readonly target: Target
  readonly owner: Owner
}

/** Who somebody claims to be, as far as the request shows it. */
export interface Claim {
  readonly tokenHash?: string
  readonly address?: string
}

export interface NewRoom {
  readonly name: string
  readonly hostId: string
  readonly hostTokenHash: string
  readonly passwordHash?: string
  readonly defaults: GenerationConfig
  readonly createdAt: number
}

export interface NewParticipant {
  readonly participant: Participant
  readonly target: Target
  readonly owner: Owner
}

export interface Heartbeat {
  readonly record: ParticipantRecord
  /** It was offline until now. */
  readonly returned: boolean
}

/**
 * Rooms and their participants. Every method is one atomic step, also between several hubs that share a store: callers
 * never read, decide and write. A method that writes resolves with what was written, once it is.
 *
 * Failures are errors of the catalogue: `PTL_ROOM_NOT_FOUND`, `PTL_PARTICIPANT_NOT_FOUND`, `PTL_TOKEN_REQUIRED`,
 * `PTL_PARTICIPANT_ID_TAKEN`, `PTL_ID_IS_MODEL`, `PTL_MODEL_IS_ID`.
 */
export interface RoomStore {
  createRoom(room: NewRoom): Promise<RoomRecord>
  /** @param code in any case; a text that can't be a code finds nothing. */
  findRoom(code: string): Promise<RoomRecord | undefined>
  /** Oldest first. */
  listRooms(): Promise<ListedRoom[]>
  /**
   * Adds a participant, or puts it in the place of the one with the same id where `claim` owns that one. An owner with a
   * token keeps it; otherwise the new one's holds.
   */
  join(roomId: string, entry: NewParticipant, claim: Claim): Promise<ParticipantRecord>
  /** In the order of joining. */
  listParticipants(roomId: string): Promise<readonly ParticipantRecord[]>
  leave(roomId: string, id: string, claim: Claim): Promise<ParticipantRecord>
  /** Sets `lastSeen`, brings an offline participant back. */
  heartbeat(roomId: string, id: string, claim: Claim, at: number): Promise<Heartbeat>
  /**
   * Marks as offline whoever was last seen more than `timeoutMs` before `now` (or as long after it: a clock was set
   * back). Each change is handed to exactly one caller.
   */
  takeSilent(now: number, timeoutMs: number): Promise<ParticipantRecord[]>
  close(): Promise<void>
}
