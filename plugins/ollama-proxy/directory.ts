import { NobodyAble, ParticipantOffline, PromptTooLong, RoomClosed } from '../../schemas/errors.ts'
import type { WatchedRoomStore } from '../room-store/announce.ts'
import type { ParticipantRecord, RoomRecord } from '../room-store/store.ts'
import type { Kind, PlaceState, Scheduler, SeatState } from './choosing/scheduler.ts'
import { type Ability, type Knowledge, lackOf, modelOf, type Needs, NO_NEEDS } from './knowledge.ts'
import { type Candidate, findCandidates, findMatches } from './routing.ts'

export interface DirectoryOptions {
  rooms: Pick<WatchedRoomStore, 'findRoom' | 'listParticipants' | 'watch'>
  scheduler: Scheduler
  slotsOf(record: ParticipantRecord): number
  /** What its server tells of a participant. */
  knowledgeOf(record: ParticipantRecord): Knowledge
  /** These are in a room that is used. */
  onSeen(records: readonly ParticipantRecord[]): void
  /** It failed several times in a row, and is left alone for a while. */
  isFailing(key: string): boolean
  /** Nobody else is left. */
  tryAgain(key: string): void
  /** It is gone. */
  onGone(key: string): void
}

/** Kinds of requests that a room remembers; each is a list of its participants. */
const MAX_KINDS = 200

/** Who could serve requests of a kind, as the scheduler knows them. */
export interface KindEntry {
  readonly kind: Kind
  readonly model: string
  /** Which of an alias's models. */
  readonly index: number
  readonly needs: Needs
  /** Who is not to be asked (again). */
  readonly tried: ReadonlySet<string>
  version: number
  /** How many of an alias's models there are. */
  groups: number
  /** How many of them take requests now. */
  able: number
}

interface RoomEntry {
  room: RoomRecord
  records: readonly ParticipantRecord[]
  byKey: Map<string, ParticipantRecord>
  /** Who joined from an address that may speak for them. */
  byAddress: Map<string, Set<string>>
  byId: Map<string, string>
  /** Context windows, in tokens, smallest first. */
  windows: readonly number[]
  readonly kinds: Map<string, KindEntry>
  /** Absent: something has changed since. */
  fresh: Promise<void> | undefined
  /** Nothing has changed since that was done. */
  isFresh: boolean
  /** Rises with each change that matters for choosing. */
  version: number
}

/** The participants of a room as they were when somebody asked. */
export interface OpenRoom {
  readonly records: readonly ParticipantRecord[]
  recordOf(key: string): ParticipantRecord | undefined
  /** Of whoever shows a participant's token, or comes from where it joined. */
  ownedBy(owner: { participantId?: string; address?: string }): ReadonlySet<string>
  /**
   * The first of the model's groups, from `from` on, in which somebody takes requests.
   * @param least tokens that a context window must hold besides, where it is known
   */
  find(model: string, from?: number, tried?: ReadonlySet<string>, least?: number): KindEntry | undefined
  /** The participant's context window for the model, in tokens; undefined where nobody knows. */
  windowOf(record: ParticipantRecord, model: string): number | undefined
  /** @param barred who is not to be asked @throws as `findCandidates` */
  first(model: string, barred?: ReadonlySet<string>): KindEntry
}

const NOBODY: ReadonlySet<string> = new Set()

export type Directory = ReturnType<typeof createDirectory>

/** Keeps the scheduler's picture of the rooms true: who is there, what they offer, and who could serve what. */
export function createDirectory(options: DirectoryOptions) {
  const { rooms, scheduler, slotsOf, knowledgeOf, onSeen, isFailing, tryAgain, onGone } = options
  const entries = new Map<string, RoomEntry>()
  const stopWatching = rooms.watch(noticeChange)

  function noticeChange(roomId: string, isClosed: boolean): void {
    const entry = entries.get(roomId)
    if (entry === undefined) return
    if (isClosed) {
      forget(entry)
      return
    }
    entry.fresh = undefined
    entry.isFresh = false
    // Where that fails, the next request finds it out, and says so.
    if (scheduler.waitingIn(roomId) > 0) freshen(entry).catch(() => {})
  }

  function freshen(entry: RoomEntry): Promise<void> {
    if (entry.fresh !== undefined) return entry.fresh
    const fresh = refresh(entry).then(
      () => {
        entry.isFresh = entry.fresh === fresh
      },
      (error: unknown) => {
        entry.fresh = undefined
        throw error
      },
    )
    entry.fresh = fresh
    return fresh
  }

  function forget({ room: { room }, byKey }: RoomEntry): void {
    // First, so that those who wait are told that the room is closed.
    entries.delete(room.id)
    for (const key of byKey.keys()) {
      scheduler.removeSeat(key)
      onGone(key)
    }
    scheduler.forgetRoom(room.id)
  }

  function seatOf(record: ParticipantRecord): SeatState {
    const { key, participant } = record
    const seat = { key, machine: machineOf(record), slots: slotsOf(record) }
    if (participant.status === 'offline') return { ...seat, closed: 'offline' }
    if (participant.paused === true) return { ...seat, closed: 'paused' }
    return isFailing(key) ? { ...seat, closed: 'failing' } : seat
  }

  async function refresh(entry: RoomEntry): Promise<void> {
    const { id, code } = entry.room.room
    const records = await rooms.listParticipants(id)
    // A body may come more slowly than its room is closed. What is kept of a room goes with its end, which has been then.
    if (records.length === 0 && (await rooms.findRoom(code))?.room.id !== id) {
      entries.delete(id)
      throw new RoomClosed()
    }
    const byKey = new Map(records.map((record) => [record.key, record]))
    const before = entry.byKey
    Object.assign(entry, { records, byKey, version: entry.version + 1 })
    entry.byAddress = byAddressOf(records)
    entry.byId = new Map(records.map(({ key, participant }) => [participant.id, key]))
    onSeen(records)
    entry.windows = windowsOf(records)
    scheduler.putSeats(records.map(seatOf))
    for (const [name, known] of entry.kinds) {
      if (known.kind.isIdle) forgetWhereOld(entry, name, known)
      else resolve(entry, known)
    }
    // Last, so that whoever waits for them finds those who have come instead.
    for (const [key, record] of before) {
      const now = byKey.get(key)
      if (now === undefined) scheduler.removeSeat(key)
      // Under the same id another server may be there by now: what is known of the first one says nothing of it.
      if (now === undefined || machineOf(now) !== machineOf(record)) onGone(key)
    }
  }

  /** What nobody asked for since the last change is made anew when somebody does. */
  function forgetWhereOld(entry: RoomEntry, name: string, known: KindEntry): void {
    if (known.version >= entry.version - 1 && known.tried.size === 0) return
    known.kind.remove()
    entry.kinds.delete(name)
  }

  function resolve({ records, room, version }: RoomEntry, known: KindEntry): void {
    const groups = findMatches(known.model, records, room.aliases)
    const group = groups[known.index] ?? []
    known.groups = groups.length
    const places: PlaceState[] = []
    let able = 0
    let failing: string | undefined
    for (const { record, model } of group) {
      if (known.tried.has(record.key)) continue
      const told = modelOf(knowledgeOf(record), model)
      const isUnable = lackOf(told, known.needs) !== undefined
      const loaded = told.isLoaded === undefined ? {} : { isLoaded: told.isLoaded }
      places.push({ key: record.key, model, ...loaded, ...(isUnable ? { isUnable } : {}) })
      const { closed } = seatOf(record)
      if (!isUnable && closed === undefined) able += 1
      if (!isUnable && closed === 'failing') failing ??= record.key
    }
    known.version = version
    known.able = able
    // Some wait, and nobody else is left: rather than turn them away, it is tried before its time, which comes back here.
    if (able === 0 && failing !== undefined && !known.kind.isIdle) tryAgain(failing)
    else known.kind.set(places)
  }

  /** The distinct context windows of a room, smallest first: between two of them it does not matter how long a prompt is. */
  function windowsOf(records: readonly ParticipantRecord[]): number[] {
    const windows = new Set<number>()
    for (const record of records) {
      for (const { contextTokens } of knowledgeOf(record).models.values()) windows.add(contextTokens ?? 0)
    }
    return [...windows].sort((one, other) => one - other)
  }

  function kindOf(entry: RoomEntry, model: string, index: number, needs: Needs, tried: ReadonlySet<string>): KindEntry {
    const needed = `${needs.abilities.join()}${needs.promptTokens}`
    const name = `${index} ${needed} ${model}${tried.size === 0 ? '' : `\n${[...tried].sort().join('\n')}`}`
    let known = entry.kinds.get(name)
    if (known === undefined) {
      known = {
        kind: scheduler.addKind(entry.room.room.id),
        model,
        index,
        needs,
        tried,
        version: -1,
        groups: 0,
        able: 0,
      }
      forgetOldest(entry)
      entry.kinds.set(name, known)
    }
    if (known.version !== entry.version) resolve(entry, known)
    return known
  }

  function forgetOldest({ kinds }: RoomEntry): void {
    // Where somebody waits in each of them they are kept: the queue has a bound of its own.
    if (kinds.size < MAX_KINDS) return
    for (const [name, { kind }] of kinds) {
      if (!kind.isIdle) continue
      kind.remove()
      kinds.delete(name)
      return
    }
  }

  /** At once where nothing has changed since the last time. */
  function entryOf(room: RoomRecord): RoomEntry | Promise<RoomEntry> {
    let entry = entries.get(room.room.id)
    if (entry === undefined) {
      entry = {
        room,
        records: [],
        byKey: new Map(),
        byAddress: new Map(),
        byId: new Map(),
        windows: [],
        kinds: new Map(),
        fresh: undefined,
        isFresh: false,
        version: 0,
      }
      entries.set(room.room.id, entry)
    }
    if (entry.room.aliases !== room.aliases) entry.version += 1
    entry.room = room
    return entry.isFresh ? entry : freshened(entry)
  }

  async function freshened(entry: RoomEntry): Promise<RoomEntry> {
    await freshen(entry)
    return entry
  }

  function opened(entry: RoomEntry, room: RoomRecord, told: Needs): OpenRoom {
    // The smallest window that is too small for it stands for all of them.
    const promptTokens = (entry.windows.findLast((window) => window < told.promptTokens) ?? -1) + 1
    const needs = { abilities: told.abilities, promptTokens }

    function find(model: string, from = 0, tried = NOBODY, least = 0): KindEntry | undefined {
      const needed = { ...needs, promptTokens: Math.max(needs.promptTokens, least) }
      for (let index = from; ; index++) {
        const known = kindOf(entry, model, index, needed, tried)
        if (known.able > 0) return known
        if (index + 1 >= known.groups) return undefined
      }
    }

    return {
      records: entry.records,
      recordOf: (key) => entry.byKey.get(key),
      ownedBy({ participantId, address }) {
        const key = participantId === undefined ? undefined : entry.byId.get(participantId)
        const record = key === undefined ? undefined : entry.byKey.get(key)
        if (key !== undefined && record !== undefined) return isOwnMachine(record) ? new Set([key]) : NOBODY
        return (address === undefined ? undefined : entry.byAddress.get(address)) ?? NOBODY
      },

      find,
      windowOf: (record, model) => modelOf(knowledgeOf(record), model).contextTokens,
      first(model, barred = NOBODY) {
        const found = find(model, 0, barred)
        if (found !== undefined) return found
        // All who could be asked are failing: the first of them finds out whether it is back.
        const asked = entry.records.filter(({ key }) => !barred.has(key))
        const candidates = findCandidates(model, asked, room.aliases).flat()
        const able = candidates.find(
          ({ record, model: name }) => lackOf(modelOf(knowledgeOf(record), name), needs) === undefined,
        )
        if (able === undefined) throw nobodyAble(candidates, told)
        tryAgain(able.record.key)
        const retried = find(model, 0, barred)
        if (retried === undefined) throw new ParticipantOffline()
        return retried
      },
    }
  }

  return {
    /** The participants of a room as they are now; as a promise where they must be looked up. */
    open(room: RoomRecord, told: Needs = NO_NEEDS): OpenRoom | Promise<OpenRoom> {
      const entry = entryOf(room)
      return entry instanceof Promise ? entry.then((fresh) => opened(fresh, room, told)) : opened(entry, room, told)
    },

    /** Something was learnt of a participant. */
    relearn({ roomId }: ParticipantRecord): void {
      noticeChange(roomId, false)
    },

    /** All rooms that were used: what is known of their participants may have grown old. */
    lookAgain(): void {
      for (const { records } of entries.values()) onSeen(records)
    },

    /** Why nobody can be asked any more. */
    async refusalIn(room: RoomRecord, model: string): Promise<Error> {
      if (!entries.has(room.room.id)) return new RoomClosed()
      const { records } = await entryOf(room)
      try {
        findCandidates(model, records, room.aliases)
      } catch (error) {
        return error as Error
      }
      return new ParticipantOffline()
    },

    /** A participant is failing, or is to be tried again. */
    settle(key: string): void {
      const roomId = key.slice(0, key.indexOf('/'))
      const entry = entries.get(roomId)
      const record = entry?.byKey.get(key)
      if (entry === undefined || record === undefined) return
      scheduler.putSeat(seatOf(record))
      entry.version += 1
      for (const known of entry.kinds.values()) if (!known.kind.isIdle) resolve(entry, known)
    },

    close: stopWatching,
  }

  /** What is missing, and who came nearest. */
  function nobodyAble(candidates: readonly Candidate[], { abilities, promptTokens }: Needs): Error {
    const lacks = candidates.map(({ record, model }) => {
      const told = modelOf(knowledgeOf(record), model)
      return {
        who: record.participant.nickname,
        window: told.contextTokens ?? 0,
        lack: lackOf(told, { abilities, promptTokens }),
      }
    })
    const [widest] = lacks.filter(({ lack }) => lack === 'context').sort((one, other) => other.window - one.window)
    if (widest !== undefined) return new PromptTooLong(promptTokens, widest.who, widest.window)
    return new NobodyAble(LACKS[(lacks[0]?.lack ?? 'tools') as Ability])
  }
}

/** Whoever joined from the machine itself; somebody else's server is nobody's to be first at. */
function isOwnMachine({ target }: ParticipantRecord): boolean {
  // It is that machine itself which opens its tunnel.
  if (target.isTunnel === true) return true
  const host = new URL(target.origin).hostname.replace(/^\[|\]$/g, '')
  return host === target.joinedFrom || (isLoopback(host) && isLoopback(target.joinedFrom ?? ''))
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function machineOf({ target }: ParticipantRecord): string {
  return `${target.origin}${target.basePath}`
}

function byAddressOf(records: readonly ParticipantRecord[]): Map<string, Set<string>> {
  const byAddress = new Map<string, Set<string>>()
  for (const record of records) {
    const { key, owner, target } = record
    // A tunnel is opened with the token; being first on one's own machine needs no such proof.
    const isOutdated = owner.tokenUsed && target.isTunnel !== true
    if (owner.address === undefined || isOutdated || !isOwnMachine(record)) continue
    byAddress.set(owner.address, (byAddress.get(owner.address) ?? new Set()).add(key))
  }
  return byAddress
}

const LACKS: Readonly<Record<Ability, string>> = {
  embed: 'make embeddings',
  images: 'see images',
  tools: 'call tools',
  ollama: "speak Ollama's API (its server is another one: /v1/chat/completions it has)",
}
