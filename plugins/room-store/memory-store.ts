import { nanoid } from 'nanoid'
import { NO_ALIASES, showAliases } from '../../schemas/aliases.ts'
import {
  CodeTaken,
  InvalidCursor,
  KeyNotFound,
  NotYourParticipant,
  ParticipantIdTaken,
  ParticipantNotFound,
  RoomFull,
  RoomNotFound,
  TokenRequired,
} from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import { LIMITS } from '../../schemas/limits.ts'
import { withoutImpliedTag } from '../../schemas/models.ts'
import type { ListedRoom, RoomView } from '../../schemas/room.ts'
import { newRoomCode, normalizeCode } from './codes.ts'
import { afterUse, type NamesInUse, owns, ownsByToken, refuseCapture } from './ownership.ts'
import { changedParticipant, changedRoom, failed, keyOf, offline, pausedAs, seen, withLoad } from './records.ts'
import type {
  Census,
  ChangedRoom,
  Claim,
  Heartbeat,
  NewParticipant,
  NewRoom,
  PageOptions,
  ParticipantChange,
  ParticipantRecord,
  PersonalKey,
  ProbedParticipant,
  ProbeFinding,
  RoomChange,
  RoomPage,
  RoomRecord,
  RoomStore,
  TokenHolder,
} from './store.ts'

interface Shelf {
  record: RoomRecord
  /** Rises from room to room: the order of listing, and the place that a cursor names. */
  readonly seq: number
  readonly participants: Map<string, ParticipantRecord>
  /** How many offer a model, by its name without the implied tag. */
  readonly offers: Map<string, number>
  /** By the hash of the token. */
  readonly tokens: Map<string, TokenHolder>
  /** What `listParticipants` hands out; made anew after a write. */
  list: readonly ParticipantRecord[] | undefined
  /** ms since the epoch. */
  visitedAt: number
  isClosed: boolean
}

const DEFAULT_PAGE = 100

/** Of idle rooms, a look: the rest is for the next one, so that no look takes long. */
const MAX_CLOSED_AT_ONCE = 1000

/** Nothing is kept on disk. Everything happens within one turn of the event loop, so every method is atomic. */
export class MemoryRoomStore implements RoomStore {
  readonly #byCode = new Map<string, Shelf>()
  readonly #byId = new Map<string, Shelf>()
  /** By `seq`; closed ones stay until there are many. */
  #ordered: Shelf[] = []
  #closedRooms = 0
  /** Who is not offline. */
  readonly #alive = new Map<string, ParticipantRecord>()
  /** Those of them who are busy, by their keys. */
  readonly #busy = new Set<string>()
  /** Who is offline, since when, longest first. */
  readonly #away = new Map<string, { record: ParticipantRecord; since: number }>()
  /** Rooms without participants, longest unvisited first; those with a custom code are not in it. */
  readonly #empty = new Set<Shelf>()
  /** When the next probe is due, by participant; who had a turn goes to the end. */
  readonly #probes = new Map<string, number>()
  /** Cursors of another run are recognised by it. */
  readonly #run = nanoid(8)
  #seq = 0

  async createRoom(room: NewRoom): Promise<RoomRecord> {
    const { name, hostId, hostTokenHash, passwordHash, listed, defaults, createdAt } = room
    const code = this.#codeFor(room.code)
    const hasCustomCode = room.code !== undefined
    const secret = passwordHash === undefined ? {} : { passwordHash }
    const shown = { id: nanoid(), code, name, hostId, createdAt }
    const kept = { hostTokenHash, listed, hasCustomCode, defaults, aliases: NO_ALIASES, ...secret }
    const record: RoomRecord = { room: shown, ...kept }
    this.#seq += 1
    this.#shelve({
      record,
      seq: this.#seq,
      participants: new Map(),
      offers: new Map(),
      tokens: new Map(),
      list: undefined,
      visitedAt: createdAt,
      isClosed: false,
    })
    return record
  }

  async findRoom(code: string): Promise<RoomRecord | undefined> {
    return this.#shelfOf(code)?.record
  }

  async visitRoom(code: string, at: number): Promise<RoomRecord | undefined> {
    const shelf = this.#shelfOf(code)
    if (shelf !== undefined) this.#visit(shelf, at)
    return shelf?.record
  }

  async viewRoom(roomId: string): Promise<RoomView> {
    const shelf = this.#shelf(roomId)
    const { passwordHash, listed, aliases } = shelf.record
    const isProtected = passwordHash !== undefined
    return { ...listedRoom(shelf), protected: isProtected, listed, aliases: showAliases(aliases) }
  }

  async listRooms({ limit, cursor }: PageOptions = {}): Promise<RoomPage> {
    const isWhole = limit === undefined && cursor === undefined
    const size = isWhole ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_PAGE)
    const rooms: ListedRoom[] = []
    let last = cursor === undefined ? 0 : this.#readCursor(cursor)
    for (let at = this.#indexAfter(last); at < this.#ordered.length; at++) {
      const shelf = this.#ordered[at] as Shelf
      if (shelf.isClosed || !shelf.record.listed) continue
      if (rooms.length === size) return { rooms, cursor: this.#cursorBehind(last) }
      rooms.push(listedRoom(shelf))
      last = shelf.seq
    }
    return { rooms }
  }

  async updateRoom(roomId: string, change: RoomChange): Promise<ChangedRoom> {
    const shelf = this.#shelf(roomId)
    const before = shelf.record
    shelf.record = changedRoom(before, change)
    return { record: shelf.record, before }
  }

  async closeRoom(roomId: string): Promise<RoomRecord> {
    const shelf = this.#shelf(roomId)
    this.#unshelve(shelf)
    return shelf.record
  }

  async join(roomId: string, entry: NewParticipant, claim: Claim): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const { target, liveness = 'heartbeat' } = entry
    const present = shelf.participants.get(entry.participant.id)
    if (present !== undefined && !owns(present.owner, claim)) throw new ParticipantIdTaken()
    refuseCapture(entry.participant, namesIn(shelf))
    if (present === undefined && shelf.participants.size >= LIMITS.participants) throw new RoomFull(LIMITS.participants)
    const proven = present !== undefined && ownsByToken(present.owner, claim)
    const owner = proven ? { ...entry.owner, tokenHash: present.owner.tokenHash, tokenUsed: true } : entry.owner
    // A joiner goes to the end, also when it has been here before: the order is that of joining.
    this.#drop(shelf, entry.participant.id)
    // What was paused stays so: coming back is no way around its owner's or the host's word.
    const wasPaused = present?.participant.paused === true
    const participant = wasPaused ? pausedAs(entry.participant) : entry.participant
    const record = { participant, target, owner, liveness, roomId, key: keyOf(roomId, participant.id) }
    if (liveness === 'probe') this.#probes.set(record.key, participant.joinedAt)
    return participant.status === 'offline' ? this.#putAway(record, participant.joinedAt) : this.#put(shelf, record)
  }

  async listParticipants(roomId: string): Promise<readonly ParticipantRecord[]> {
    const shelf = this.#byId.get(roomId)
    if (shelf === undefined) return []
    shelf.list ??= [...shelf.participants.values()]
    return shelf.list
  }

  async getParticipant(roomId: string, id: string): Promise<ParticipantRecord> {
    return this.#record(this.#shelf(roomId), id)
  }

  async updateParticipant(
    roomId: string,
    id: string,
    change: ParticipantChange,
    claim: Claim = {},
  ): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const record = this.#record(shelf, id)
    const participant = changedParticipant(record.participant, change)
    refuseCapture(participant, namesIn(shelf))
    return this.#amend(shelf, { ...record, participant, owner: afterUse(record.owner, claim) })
  }

  async setBusy(roomId: string, id: string, isBusy: boolean): Promise<ParticipantRecord | undefined> {
    const shelf = this.#byId.get(roomId)
    const record = shelf?.participants.get(id)
    if (shelf === undefined || record === undefined) return undefined
    const changed = withLoad(record, isBusy)
    return changed === undefined ? undefined : this.#amend(shelf, changed)
  }

  async leave(roomId: string, id: string, claim: Claim): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const record = this.#owned(shelf, id, claim)
    this.#drop(shelf, id)
    return record
  }

  async removeParticipant(roomId: string, id: string): Promise<ParticipantRecord> {
    const shelf = this.#shelf(roomId)
    const record = this.#record(shelf, id)
    this.#drop(shelf, id)
    return record
  }

  async heartbeat(roomId: string, id: string, claim: Claim, at: number): Promise<Heartbeat> {
    const shelf = this.#shelf(roomId)
    const record = this.#owned(shelf, id, claim)
    const returned = record.participant.status === 'offline'
    const owner = afterUse(record.owner, claim)
    if (returned && record.liveness === 'tunnel')
      return { record: this.#amend(shelf, { ...record, owner }), returned: false }
    return { record: this.#put(shelf, seen({ ...record, owner }, at)), returned }
  }

  async takeSilent(now: number, timeoutMs: number): Promise<ParticipantRecord[]> {
    const taken: ParticipantRecord[] = []
    // All of them: a clock that was set back leaves no order to rely on.
    for (const record of this.#alive.values()) {
      if (Math.abs(now - record.participant.lastSeen) > timeoutMs) taken.push(this.#putAway(record, now))
    }
    return taken
  }

  async takeExpired(now: number, ttlMs: number): Promise<ParticipantRecord[]> {
    const taken: ParticipantRecord[] = []
    for (const { record, since } of this.#away.values()) {
      // A time in the future was told by a clock that has been set since; it says nothing of those behind.
      if (since > now) continue
      if (now - since <= ttlMs) break
      const shelf = this.#shelf(record.roomId)
      this.#drop(shelf, record.participant.id)
      // Nobody visited, but until now somebody was expected back.
      this.#visit(shelf, now)
      taken.push(record)
    }
    return taken
  }

  async takeIdleRooms(now: number, ttlMs: number): Promise<RoomRecord[]> {
    const taken: RoomRecord[] = []
    for (const shelf of this.#empty) {
      if (shelf.visitedAt > now) continue
      if (now - shelf.visitedAt <= ttlMs || taken.length >= MAX_CLOSED_AT_ONCE) break
      this.#unshelve(shelf)
      taken.push(shelf.record)
    }
    return taken
  }

  async takeDueProbes(now: number, leaseMs: number, limit: number): Promise<ParticipantRecord[]> {
    const taken: ParticipantRecord[] = []
    for (const [key, dueAt] of this.#probes) {
      if (taken.length >= limit) break
      const record = dueAt <= now ? (this.#alive.get(key) ?? this.#away.get(key)?.record) : undefined
      if (record === undefined) continue
      this.#queueProbe(key, now + leaseMs)
      taken.push(record)
    }
    return taken
  }

  async recordProbe(probed: ParticipantRecord, finding: ProbeFinding): Promise<ProbedParticipant | undefined> {
    const shelf = this.#byId.get(probed.roomId)
    const record = shelf?.participants.get(probed.participant.id)
    // The same id may have joined anew meanwhile, perhaps elsewhere.
    if (shelf === undefined || record === undefined || record.target !== probed.target) return undefined
    if (finding.nextAt !== undefined) this.#queueProbe(record.key, finding.nextAt)
    const wasOffline = record.participant.status === 'offline'
    const { failure, isFinal = false, at } = finding
    if (failure === undefined) {
      const alive = this.#put(shelf, seen(record, at))
      return wasOffline ? { record: alive, change: 'online' } : { record: alive }
    }
    const noted = failed(record, failure)
    if (isFinal && !wasOffline) return { record: this.#putAway(noted, at), change: 'offline' }
    return { record: this.#amend(shelf, noted) }
  }

  async findToken(roomId: string, tokenHash: string): Promise<TokenHolder | undefined> {
    return this.#byId.get(roomId)?.tokens.get(tokenHash)
  }

  async addKey(roomId: string, key: PersonalKey, tokenHash: string): Promise<PersonalKey> {
    this.#shelf(roomId).tokens.set(tokenHash, { role: 'key', key })
    return key
  }

  async listKeys(roomId: string): Promise<readonly PersonalKey[]> {
    return [...this.#shelf(roomId).tokens.values()].flatMap((holder) => (holder.role === 'key' ? [holder.key] : []))
  }

  async removeKey(roomId: string, keyId: string): Promise<PersonalKey> {
    const { tokens } = this.#shelf(roomId)
    for (const [tokenHash, holder] of tokens) {
      if (holder.role !== 'key' || holder.key.id !== keyId) continue
      tokens.delete(tokenHash)
      return holder.key
    }
    throw new KeyNotFound()
  }

  async census(): Promise<Census> {
    const [busy, offline] = [this.#busy.size, this.#away.size]
    return { rooms: this.#byId.size, participants: { online: this.#alive.size - busy, busy, offline } }
  }

  async close(): Promise<void> {
    for (const shelf of [...this.#ordered]) this.#unshelve(shelf)
  }

  #codeFor(wanted: string | undefined): string {
    const code = wanted?.toUpperCase()
    if (code !== undefined && this.#byCode.has(code)) throw new CodeTaken(code)
    return code ?? this.#freeCode()
  }

  #freeCode(): string {
    for (;;) {
      const code = newRoomCode()
      if (!this.#byCode.has(code)) return code
    }
  }

  #shelve(shelf: Shelf): void {
    this.#byCode.set(shelf.record.room.code, shelf)
    this.#byId.set(shelf.record.room.id, shelf)
    this.#ordered.push(shelf)
    this.#visit(shelf, shelf.visitedAt)
  }

  #unshelve(shelf: Shelf): void {
    for (const id of shelf.participants.keys()) this.#forget(keyOf(shelf.record.room.id, id))
    this.#byCode.delete(shelf.record.room.code)
    this.#byId.delete(shelf.record.room.id)
    this.#empty.delete(shelf)
    shelf.isClosed = true
    this.#closedRooms += 1
    // Gaps are closed together: one at a time would move all the others each time.
    if (this.#closedRooms * 2 > this.#ordered.length) this.#closeGaps()
  }

  #closeGaps(): void {
    this.#ordered = this.#ordered.filter(({ isClosed }) => !isClosed)
    this.#closedRooms = 0
  }

  #shelfOf(code: string): Shelf | undefined {
    const normalized = normalizeCode(code)
    return normalized === undefined ? undefined : this.#byCode.get(normalized)
  }

  #shelf(roomId: string): Shelf {
    const shelf = this.#byId.get(roomId)
    if (shelf === undefined) throw new RoomNotFound()
    return shelf
  }

  /** Keeps the order of the empty rooms; a room that isn't one, or that stays, is not in it. */
  #visit(shelf: Shelf, at: number): void {
    shelf.visitedAt = at
    this.#empty.delete(shelf)
    if (shelf.participants.size === 0 && !shelf.record.hasCustomCode) this.#empty.add(shelf)
  }

  /** The index of the first room behind that `seq`, by halving. */
  #indexAfter(seq: number): number {
    let low = 0
    let high = this.#ordered.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ordered[middle] as Shelf).seq <= seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #cursorBehind(seq: number): string {
    return Buffer.from(`${this.#run}.${seq}`).toString('base64url')
  }

  #readCursor(cursor: string): number {
    const [run, seq] = Buffer.from(cursor, 'base64url').toString().split('.')
    if (run !== this.#run || seq === undefined || !/^\d{1,15}$/.test(seq)) throw new InvalidCursor()
    return Number(seq)
  }

  #record(shelf: Shelf, id: string): ParticipantRecord {
    const record = shelf.participants.get(id)
    if (record === undefined) throw new ParticipantNotFound()
    return record
  }

  #owned(shelf: Shelf, id: string, claim: Claim): ParticipantRecord {
    const record = this.#record(shelf, id)
    if (!owns(record.owner, claim)) throw holdsToken(shelf, claim) ? new NotYourParticipant() : new TokenRequired()
    return record
  }

  /** At the end: whoever has waited longest for a turn comes first. */
  #queueProbe(key: string, dueAt: number): void {
    this.#probes.delete(key)
    this.#probes.set(key, dueAt)
  }

  /** Writes a participant that was just heard of. */
  #put(shelf: Shelf, record: ParticipantRecord): ParticipantRecord {
    this.#away.delete(record.key)
    this.#alive.set(record.key, record)
    this.#empty.delete(shelf)
    return this.#keep(shelf, record)
  }

  /** Writes a participant that was changed, and stays alive or away as it was. */
  #amend(shelf: Shelf, record: ParticipantRecord): ParticipantRecord {
    const away = this.#away.get(record.key)
    if (away === undefined) this.#alive.set(record.key, record)
    else away.record = record
    return this.#keep(shelf, record)
  }

  #putAway(record: ParticipantRecord, since: number): ParticipantRecord {
    const gone = offline(record)
    this.#alive.delete(record.key)
    this.#away.set(record.key, { record: gone, since })
    return this.#keep(this.#shelf(record.roomId), gone)
  }

  #keep(shelf: Shelf, record: ParticipantRecord): ParticipantRecord {
    const before = shelf.participants.get(record.participant.id)
    if (before?.participant.models !== record.participant.models) {
      countOffers(shelf, before, -1)
      countOffers(shelf, record, 1)
    }
    if (before?.owner.tokenHash !== record.owner.tokenHash) {
      if (before !== undefined) shelf.tokens.delete(before.owner.tokenHash)
      shelf.tokens.set(record.owner.tokenHash, { role: 'participant', participantId: record.participant.id })
    }
    if (record.participant.status === 'busy') this.#busy.add(record.key)
    else this.#busy.delete(record.key)
    shelf.participants.set(record.participant.id, record)
    shelf.list = undefined
    return record
  }

  #drop(shelf: Shelf, id: string): void {
    const record = shelf.participants.get(id)
    countOffers(shelf, record, -1)
    if (record !== undefined) shelf.tokens.delete(record.owner.tokenHash)
    shelf.participants.delete(id)
    shelf.list = undefined
    this.#forget(keyOf(shelf.record.room.id, id))
    this.#visit(shelf, shelf.visitedAt)
  }

  #forget(key: string): void {
    this.#alive.delete(key)
    this.#busy.delete(key)
    this.#away.delete(key)
    this.#probes.delete(key)
  }
}

function listedRoom({ record, participants }: Shelf): ListedRoom {
  return { ...record.room, participantCount: participants.size }
}

/** A right credential, of somebody else. */
function holdsToken({ tokens, record }: Shelf, { tokenHash }: Claim): boolean {
  return tokenHash !== undefined && (tokens.has(tokenHash) || sameHash(record.hostTokenHash, tokenHash))
}

function namesIn({ offers, participants }: Shelf): NamesInUse {
  return { offersModel: (bareName) => offers.has(bareName), hasParticipant: (id) => participants.has(id) }
}

function countOffers({ offers }: Shelf, record: ParticipantRecord | undefined, by: 1 | -1): void {
  for (const model of record?.participant.models ?? []) {
    const bareName = withoutImpliedTag(model)
    const count = (offers.get(bareName) ?? 0) + by
    if (count === 0) offers.delete(bareName)
    else offers.set(bareName, count)
  }
}
