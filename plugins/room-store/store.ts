import type { Aliases } from '../../schemas/aliases.ts'
import type {
  GenerationConfig,
  Participant,
  Specs,
  Status,
  Liveness as ToldLiveness,
} from '../../schemas/participant.ts'
import type { ListedRoom, Room, RoomView } from '../../schemas/room.ts'

/** What the hub knows of a room. `room` is what everybody may see; the rest never leaves the hub. Records never change: a write makes a new one. */
export interface RoomRecord {
  readonly room: Room
  readonly hostTokenHash: string
  readonly passwordHash?: string
  /** false: found by its code alone, never announced. */
  readonly listed: boolean
  /** Somebody chose its code, so it does not expire. */
  readonly hasCustomCode: boolean
  readonly defaults: GenerationConfig
  readonly aliases: Aliases
}

/** Where requests to a participant go: the endpoint without a trailing `/` or `/v1`. */
export interface Target {
  /** `http://192.168.1.20:11434` */
  readonly origin: string
  /** `''` or a path like `/llm`, never with a `/` at its end. */
  readonly basePath: string
  /** Who joined from there may have the hub connect there; absent: private networks alone. */
  readonly joinedFrom?: string
  /** It is reached through a tunnel that it opens, and the hub connects nowhere: `origin` only tells it from others. */
  readonly isTunnel?: true
}

/** How the hub finds out whether it is there. */
export type Liveness = ToldLiveness | 'tunnel'

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
  readonly liveness: Liveness
  /** What the last probe found wrong; absent after a good one. */
  readonly probeFailure?: string
}

/** Who somebody claims to be, as far as the request shows it. */
export interface Claim {
  readonly tokenHash?: string
  readonly address?: string
}

/** A key that the host gave to one person. */
export interface PersonalKey {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  /** Requests of inference; absent: no limit. */
  readonly requestsPerMinute?: number
  /** Input and output together, per day (UTC); absent: no limit. */
  readonly tokensPerDay?: number
}

/** Whose token it is. */
export type TokenHolder =
  | { readonly role: 'participant'; readonly participantId: string }
  | { readonly role: 'key'; readonly key: PersonalKey }

export interface NewRoom {
  readonly name: string
  readonly hostId: string
  readonly hostTokenHash: string
  readonly passwordHash?: string
  /** In any case; absent: the store makes one up. */
  readonly code?: string
  readonly listed: boolean
  readonly defaults: GenerationConfig
  readonly createdAt: number
}

/** What is there replaces what was; `passwordHash: null` removes the password. */
export interface RoomChange {
  readonly name?: string
  readonly passwordHash?: string | null
  readonly listed?: boolean
  readonly defaults?: GenerationConfig
  readonly aliases?: Aliases
}

export interface ChangedRoom {
  readonly record: RoomRecord
  readonly before: RoomRecord
}

export interface PageOptions {
  /** Absent: all of them. */
  readonly limit?: number
  readonly cursor?: string
}

export interface RoomPage {
  readonly rooms: ListedRoom[]
  /** Absent on the last page. */
  readonly cursor?: string
}

export interface ParticipantChange {
  /** At least one. */
  readonly models?: readonly string[]
  readonly config?: GenerationConfig
  readonly specs?: Specs
  readonly slots?: number
  readonly paused?: boolean
}

/** What a probe of a participant's endpoint, or its tunnel, found. */
export interface ProbeFinding {
  /** ms since the epoch. */
  readonly at: number
  /** Absent: it is not probed. */
  readonly nextAt?: number
  /** Absent: it is there. */
  readonly failure?: string
  /** It goes offline now, not only when it has been silent for long. */
  readonly isFinal?: boolean
}

export interface ProbedParticipant {
  readonly record: ParticipantRecord
  readonly change?: 'online' | 'offline'
}

export interface NewParticipant {
  readonly participant: Participant
  readonly target: Target
  readonly owner: Owner
  /** @default 'heartbeat' */
  readonly liveness?: Liveness
}

export interface Heartbeat {
  readonly record: ParticipantRecord
  /** It was offline until now. */
  readonly returned: boolean
}

/** How many there are of each, unlisted rooms included. */
export interface Census {
  readonly rooms: number
  readonly participants: Readonly<Record<Status, number>>
}

/**
 * Rooms and their participants. Every method is one atomic step, also between several hubs that share a store: callers
 * never read, decide and write. A method that writes resolves with what was written, once it is.
 *
 * Failures are errors of the catalogue: `PTL_ROOM_NOT_FOUND`, `PTL_PARTICIPANT_NOT_FOUND`, `PTL_TOKEN_REQUIRED`,
 * `PTL_PARTICIPANT_ID_TAKEN`, `PTL_ID_IS_MODEL`, `PTL_MODEL_IS_ID`, and what a method names besides.
 */
export interface RoomStore {
  /** @throws PTL_CODE_TAKEN */
  createRoom(room: NewRoom): Promise<RoomRecord>
  /** @param code in any case; a text that can't be a code finds nothing. */
  findRoom(code: string): Promise<RoomRecord | undefined>
  /** As `findRoom`, and the room is not idle at that moment. */
  visitRoom(code: string, at: number): Promise<RoomRecord | undefined>
  viewRoom(roomId: string): Promise<RoomView>
  /** The listed ones, oldest first. @throws PTL_INVALID_CURSOR */
  listRooms(page?: PageOptions): Promise<RoomPage>
  updateRoom(roomId: string, change: RoomChange): Promise<ChangedRoom>
  /** The room and its participants are gone. */
  closeRoom(roomId: string): Promise<RoomRecord>
  /**
   * Adds a participant, at the end; one with the same id goes where `claim` owns it. An owner who came with its token keeps
   * that token; otherwise the new one's holds. Who joins as offline is away until something was heard of it.
   */
  join(roomId: string, entry: NewParticipant, claim: Claim): Promise<ParticipantRecord>
  /** In the order of joining; none where there is no such room. */
  listParticipants(roomId: string): Promise<readonly ParticipantRecord[]>
  /** @throws PTL_PARTICIPANT_NOT_FOUND */
  getParticipant(roomId: string, id: string): Promise<ParticipantRecord>
  /** @param claim of whoever changes it: a token that was used once is needed from then on */
  updateParticipant(roomId: string, id: string, change: ParticipantChange, claim?: Claim): Promise<ParticipantRecord>
  /** All its slots are taken, or not any more. @returns undefined where that changes nothing: it is gone, away, or has paused */
  setBusy(roomId: string, id: string, isBusy: boolean): Promise<ParticipantRecord | undefined>
  leave(roomId: string, id: string, claim: Claim): Promise<ParticipantRecord>
  /** Whoever it belongs to. */
  removeParticipant(roomId: string, id: string): Promise<ParticipantRecord>
  /** Sets `lastSeen`, brings an offline participant back; one with a tunnel comes back by that alone. */
  heartbeat(roomId: string, id: string, claim: Claim, at: number): Promise<Heartbeat>
  /**
   * Marks as offline whoever was last seen more than `timeoutMs` before `now` (or as long after it: a clock was set
   * back). Each change is handed to exactly one caller.
   */
  takeSilent(now: number, timeoutMs: number): Promise<ParticipantRecord[]>
  /** Removes who has been offline for longer than `ttlMs`. Each is handed to exactly one caller. */
  takeExpired(now: number, ttlMs: number): Promise<ParticipantRecord[]>
  /** Closes rooms that have had neither participants nor visits for `ttlMs`; never one with a custom code. */
  takeIdleRooms(now: number, ttlMs: number): Promise<RoomRecord[]>
  /** Participants with `liveness: 'probe'` whose next probe is due, at most `limit`; each is handed to one caller, who has `leaseMs` to record what it found. */
  takeDueProbes(now: number, leaseMs: number, limit: number): Promise<ParticipantRecord[]>
  /** @returns undefined where the participant has gone, or has joined anew, meanwhile */
  recordProbe(probed: ParticipantRecord, finding: ProbeFinding): Promise<ProbedParticipant | undefined>
  /** @returns undefined where it is nobody's, or the host's (the room's record holds that one's hash) */
  findToken(roomId: string, tokenHash: string): Promise<TokenHolder | undefined>
  addKey(roomId: string, key: PersonalKey, tokenHash: string): Promise<PersonalKey>
  /** In the order of their making. */
  listKeys(roomId: string): Promise<readonly PersonalKey[]>
  /** @throws PTL_KEY_NOT_FOUND */
  removeKey(roomId: string, keyId: string): Promise<PersonalKey>
  /** Costs next to nothing, however many there are. */
  census(): Promise<Census>
  close(): Promise<void>
}
