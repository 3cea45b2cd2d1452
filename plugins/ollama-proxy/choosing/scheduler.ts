import { type Affinity, createAffinity, NO_PREFIX, type Prefix } from './affinity.ts'
import { Heap, NOWHERE, type Ranked } from './heap.ts'
import { createShares, type Share } from './shares.ts'

/** Why a participant was chosen. */
export type Reason = 'only' | 'owner' | 'warm' | 'loaded' | 'least-loaded' | 'fastest'

/** Why it was not, although the request was one for it. */
export type PassedOver = 'busy' | 'outranked' | 'paused' | 'offline' | 'failing' | 'unable'

/** A participant, as far as choosing is concerned. */
export interface SeatState {
  /** Of the participant. */
  readonly key: string
  /** Of its LLM server: two participants that are one server share its slots. */
  readonly machine: string
  readonly slots: number
  /** Absent: it takes requests. */
  readonly closed?: 'paused' | 'offline' | 'failing'
}

/** A participant that offers what a kind of request is about. */
export interface PlaceState {
  readonly key: string
  /** What it calls the model. */
  readonly model: string
  /** The model is in its memory already; absent: nobody knows. */
  readonly isLoaded?: boolean
  /** It offers the model, but can't do what these requests need. */
  readonly isUnable?: boolean
}

export interface Asker {
  /** Who shares with others: a personal key, a participant, an address. */
  readonly client: string
  /** Participants that belong to whoever asks. */
  readonly owns?: ReadonlySet<string>
  readonly prefix?: Prefix
}

export interface Grant {
  readonly key: string
  readonly model: string
  readonly reason: Reason
  /** So much of the prompt the participant has read before. */
  readonly warmBytes: number
  /** Requests that run on its server already. */
  readonly beside: number
  /** Gives the slot back; again does nothing. */
  release(): void
}

export interface Waiting {
  /** How many waited in the room when it came, itself included. */
  readonly position: number
  /** Leaves the queue; does nothing once it was its turn. */
  leave(): void
}

export interface Turn {
  /** Its turn has come. */
  onGrant(grant: Grant): void
  /** Nobody is left who could serve it. */
  onNobody(): void
}

/** How fast a participant has been, as far as it was measured. */
export interface Speed {
  /** Time to read so much of a prompt anew, ms a byte. */
  readonly msPerByte?: number
  /** Of the output. */
  readonly tokensPerSecond?: number
}

export interface SchedulerOptions {
  /** Of a monotonic clock, ms. */
  now(): number
  speedOf?(key: string): Speed
  affinity?: Affinity
  /** All slots of a participant are taken, or not any more. */
  onBusy?(key: string, isBusy: boolean): void
}

/** A server that has never been measured is taken for a middling one, ms a byte. */
const USUAL_MS_PER_BYTE = 0.1

/**
 * How much slower a machine is taken to be when it is full: most of that is in what was measured there already, and the rest
 * is enough to spread requests over machines that are about as fast.
 */
const LOAD_WEIGHT = 0.25

/** How much the newest request weighs in what a client's requests usually take. */
const WEIGHT = 0.5

/** A request that took longer, or a clock that jumped, says nothing of what comes next. */
const LONGEST_MS = 600_000

/** Of those with a free slot the best ones are measured anew; so many, lest a meter that never says the same keeps it busy. */
const MAX_LOOKS = 8

/** Of its own participants a client that waits is looked for at so many: who has lots of them must not fill the memory. */
const MAX_OWNED = 256

const NOTHING: ReadonlySet<string> = new Set()

interface Machine {
  readonly key: string
  readonly seats: Set<Seat>
  running: number
  /** The most that one of its participants takes. */
  capacity: number
}

interface Seat {
  state: SeatState
  readonly machine: Machine
  running: number
  isBusy: boolean
  /** Of its last request: among equals the one that has waited longest comes next. */
  lastTurn: number
  readonly places: Set<Place>
  /** It left, or moved, and what it was given before still runs. */
  isGone: boolean
}

interface Place extends Ranked {
  seat: Seat
  readonly kind: KindState
  state: PlaceState
  /** What it is at the moment, and how many requests the kind had had when that began. */
  standing: PassedOver
  since: number
  /** What its rank is made of, as it was when it took its place among the others: that order must not change unnoticed. */
  isLoaded: boolean
  msPerByte: number
  pace: number
  lastTurn: number
}

interface Entry {
  readonly asker: Asker
  readonly turn: Turn
  readonly line: Line
  readonly arrival: number
  isWaiting: boolean
  before: Entry | undefined
  after: Entry | undefined
}

/** A client's requests of one kind, first come first served; any of them may leave at once. */
interface Line extends Ranked {
  readonly share: Share
  readonly kind: KindState
  first: Entry | undefined
  last: Entry | undefined
  /** Participants of the client by which the line can be found. */
  readonly owned: Set<string>
}

interface KindState {
  readonly room: RoomState
  readonly places: Map<string, Place>
  /** Those with a free slot, the best first. */
  readonly free: Heap<Place>
  /** Those who wait, the one that was given least first. */
  readonly lines: Heap<Line>
  readonly byClient: Map<string, Line>
  /** Who waits and has a machine, by its participant. */
  readonly owners: Map<string, Set<Line>>
  granted: number
  /** Of those with a free slot, how many would have to load the model. */
  unloaded: number
  /** Rises when somebody comes or goes. */
  version: number
  /** Whether these are all there are, as of a version. */
  readonly covering: WeakMap<ReadonlySet<string>, { version: number; isAll: boolean }>
}

interface RoomState {
  waiting: number
}

/** Requests that can be served by the same participants: of one room, for one model, with the same needs. */
export type Kind = ReturnType<Scheduler['addKind']>
export type Scheduler = ReturnType<typeof createScheduler>

/**
 * Decides who serves which request, and who waits. Participants and what they can do are told to it; it counts slots, keeps
 * the queues, and never lets a slot be free while a request waits that could have it.
 */
export function createScheduler(options: SchedulerOptions) {
  const { now, speedOf = (): Speed => ({}), affinity = createAffinity(), onBusy = () => {} } = options
  const seats = new Map<string, Seat>()
  const machines = new Map<string, Machine>()
  const rooms = new Map<string, RoomState>()
  const passed = new Map<string, Partial<Record<PassedOver, number>>>()
  const shares = createShares({ now })
  let turns = 0
  let arrivals = 0

  // --- what is free

  /** Who is gone does not count, with what it said of the server. */
  function measureCapacity(machine: Machine): void {
    machine.capacity = 0
    for (const { state, isGone } of machine.seats)
      if (!isGone) machine.capacity = Math.max(machine.capacity, state.slots)
  }

  function isFree({ state, running, machine }: Seat): boolean {
    return state.closed === undefined && running < state.slots && machine.running < machine.capacity
  }

  function standingOf({ seat, state }: Place): PassedOver {
    if (seat.state.closed !== undefined) return seat.state.closed
    if (state.isUnable === true) return 'unable'
    return isFree(seat) ? 'outranked' : 'busy'
  }

  /** What requests went by meanwhile, went by for that reason. */
  function account(place: Place): void {
    const { seat, kind, standing, since } = place
    place.since = kind.granted
    if (kind.granted === since) return
    const counts = passed.get(seat.state.key) ?? {}
    counts[standing] = (counts[standing] ?? 0) + kind.granted - since
    passed.set(seat.state.key, counts)
  }

  /** Its slots, or what it can do, have changed. */
  function settle(place: Place): void {
    const { kind } = place
    const standing = standingOf(place)
    if (standing !== place.standing) {
      account(place)
      place.standing = standing
    }
    if (isUnloaded(place)) kind.unloaded -= 1
    rank(place)
    if (standing === 'outranked') kind.free.put(place)
    else kind.free.delete(place)
    if (isUnloaded(place)) kind.unloaded += 1
  }

  function isUnloaded(place: Place): boolean {
    return !place.isLoaded && place.kind.free.has(place)
  }

  function rank(place: Place): void {
    const { seat, state } = place
    place.isLoaded = state.isLoaded ?? true
    place.msPerByte = msPerByteOf(seat)
    place.pace = place.msPerByte * slownessOf(seat)
    place.lastTurn = seat.lastTurn
  }

  function settleMachine(machine: Machine): void {
    for (const seat of machine.seats) {
      for (const place of seat.places) settle(place)
      const isBusy = seat.state.closed === undefined && !isFree(seat)
      if (isBusy === seat.isBusy || seat.isGone) continue
      seat.isBusy = isBusy
      onBusy(seat.state.key, isBusy)
    }
  }

  function isBetter(one: Place, other: Place): boolean {
    if (one.isLoaded !== other.isLoaded) return one.isLoaded
    return one.pace === other.pace ? one.lastTurn < other.lastTurn : one.pace < other.pace
  }

  function msPerByteOf({ state }: Seat): number {
    return speedOf(state.key).msPerByte ?? USUAL_MS_PER_BYTE
  }

  /** Of its server: others may use it, too. */
  function loadOf({ machine }: Seat): number {
    return machine.running / machine.capacity
  }

  function slownessOf(seat: Seat): number {
    return 1 + LOAD_WEIGHT * loadOf(seat)
  }

  // --- who gets what

  /** How long it would take to read the prompt, ms, as far as that can be told; a machine that does other things besides is slower. */
  function costOf({ seat }: Place, warmBytes: number, { bytes }: Prefix): number {
    return Math.max(0, bytes - warmBytes) * msPerByteOf(seat) * slownessOf(seat)
  }

  interface Choice {
    place: Place
    reason: Reason
  }

  function choose(kind: KindState, { owns = NOTHING, prefix = NO_PREFIX }: Asker): Choice | undefined {
    const best = bestIn(kind)
    if (best === undefined) return undefined
    const own = ownIn(kind, best, owns)
    if (own !== undefined) return { place: own, reason: 'owner' }
    if (kind.places.size === 1) return { place: best, reason: 'only' }
    return warmer(kind, best, prefix) ?? { place: best, reason: reasonFor(kind, best) }
  }

  /** How fast it is may have been measured anew since it took its place among the others. */
  function bestIn({ free }: KindState): Place | undefined {
    let best = free.peek()
    for (let looks = 0; best !== undefined && looks < MAX_LOOKS; looks++) {
      if (best.msPerByte === msPerByteOf(best.seat)) return best
      settleMachine(best.seat.machine)
      best = free.peek()
    }
    return best
  }

  /** The asker's own best one, where others have one as well. */
  function ownIn(kind: KindState, best: Place, owns: ReadonlySet<string>): Place | undefined {
    if (owns.size === 0 || ownsAll(kind, owns)) return undefined
    if (owns.has(best.seat.state.key)) return best
    let found: Place | undefined
    for (const key of owns) {
      const own = kind.places.get(key)
      if (own === undefined || !kind.free.has(own)) continue
      if (found === undefined || isBetter(own, found)) found = own
    }
    return found
  }

  /** To whom all belong, none of them is more than another. */
  function ownsAll({ places, version, covering }: KindState, owns: ReadonlySet<string>): boolean {
    if (owns.size < places.size) return false
    const known = covering.get(owns)
    if (known?.version === version) return known.isAll
    const isAll = isCovering(owns, places)
    covering.set(owns, { version, isAll })
    return isAll
  }

  function isCovering(owns: ReadonlySet<string>, places: ReadonlyMap<string, Place>): boolean {
    for (const key of places.keys()) if (!owns.has(key)) return false
    return true
  }

  function warmer(kind: KindState, best: Place, prefix: Prefix): Choice | undefined {
    let place = best
    let warmBytes = warmBytesOf(best, prefix)
    let least = costOf(best, warmBytes, prefix)
    for (const other of warmPlaces(kind, prefix)) {
      const bytes = warmBytesOf(other, prefix)
      const cost = costOf(other, bytes, prefix)
      if (bytes === 0 || cost > least || (cost === least && warmBytes > 0)) continue
      place = other
      warmBytes = bytes
      least = cost
    }
    return warmBytes > 0 ? { place, reason: 'warm' } : undefined
  }

  function* warmPlaces({ places, free }: KindState, prefix: Prefix): Generator<Place> {
    for (const key of affinity.warmest(prefix)) {
      for (const seat of machines.get(key)?.seats ?? []) {
        const place = places.get(seat.state.key)
        if (place?.seat === seat && free.has(place)) yield place
      }
    }
  }

  /** A model that is not in memory has left nothing there that is warm. */
  function warmBytesOf({ seat, state }: Place, prefix: Prefix): number {
    return state.isLoaded === false ? 0 : affinity.warmBytes(seat.machine.key, prefix)
  }

  /** What the next best one lacks. */
  function reasonFor({ free, unloaded }: KindState, best: Place): Reason {
    if (best.state.isLoaded === true && unloaded > 0) return 'loaded'
    const next = free.peekSecond()
    const isFaster = next !== undefined && best.msPerByte < next.msPerByte && loadOf(best.seat) >= loadOf(next.seat)
    return isFaster ? 'fastest' : 'least-loaded'
  }

  function grant(place: Place, reason: Reason, { prefix }: Asker, share: Share): Grant {
    const { seat, kind, state } = place
    const { machine } = seat
    const startedAt = now()
    turns += 1
    seat.running += 1
    machine.running += 1
    seat.lastTurn = turns
    kind.granted += 1
    // It was not passed over by this one.
    place.since += 1
    const warmBytes = prefix === undefined ? 0 : affinity.warmBytes(machine.key, prefix)
    if (prefix !== undefined) affinity.note(machine.key, prefix, seat.state.slots)
    const { usualMs } = share
    charge(share, usualMs)
    settleMachine(machine)
    let isReleased = false
    return {
      key: seat.state.key,
      model: state.model,
      reason,
      warmBytes,
      beside: seat.machine.running - 1,
      release() {
        if (isReleased) return
        isReleased = true
        seat.running -= 1
        machine.running -= 1
        const tookMs = Math.max(0, now() - startedAt)
        share.usualMs += WEIGHT * (Math.min(tookMs, LONGEST_MS) - share.usualMs)
        charge(share, tookMs - usualMs)
        forgetIfGone(seat)
        settleMachine(machine)
        serve(machine)
      },
    }
  }

  // --- who waits

  /** Of the clients that wait: one for each kind. */
  const lines = new Map<Share, Set<Line>>()

  /** A client's share has changed, so its place among those who wait has, too. */
  function charge(share: Share, cost: number): void {
    shares.charge(share, cost)
    for (const line of lines.get(share) ?? []) line.kind.lines.put(line)
  }

  function lineOf(kind: KindState, client: string): Line {
    const known = kind.byClient.get(client)
    if (known !== undefined) return known
    const share = shares.of(client)
    const line: Line = { share, kind, first: undefined, last: undefined, owned: new Set(), at: NOWHERE }
    kind.byClient.set(client, line)
    const ofShare = lines.get(share) ?? new Set()
    lines.set(share, ofShare.add(line))
    return line
  }

  function enqueue(kind: KindState, asker: Asker, turn: Turn): Entry {
    const line = lineOf(kind, asker.client)
    const { last } = line
    arrivals += 1
    const entry: Entry = { asker, turn, line, arrival: arrivals, isWaiting: true, before: last, after: undefined }
    if (last === undefined) line.first = entry
    else last.after = entry
    line.last = entry
    kind.lines.put(line)
    if (asker.owns !== undefined && asker.owns !== last?.asker.owns) noteOwned(line, asker.owns)
    kind.room.waiting += 1
    return entry
  }

  function noteOwned(line: Line, owns: ReadonlySet<string>): void {
    const { owners } = line.kind
    for (const key of owns) {
      if (line.owned.size >= MAX_OWNED) return
      line.owned.add(key)
      const ofKey = owners.get(key) ?? new Set()
      owners.set(key, ofKey.add(line))
    }
  }

  function dequeue(entry: Entry): boolean {
    const { line, before, after } = entry
    const { kind } = line
    if (!entry.isWaiting) return false
    entry.isWaiting = false
    kind.room.waiting -= 1
    if (before === undefined) line.first = after
    else before.after = after
    if (after === undefined) line.last = before
    else after.before = before
    // Who still holds on to it holds on to nobody else.
    entry.before = undefined
    entry.after = undefined
    if (line.first !== undefined) kind.lines.put(line)
    else removeLine(line)
    return true
  }

  function removeLine(line: Line): void {
    const { kind, share, owned } = line
    kind.lines.delete(line)
    kind.byClient.delete(share.client)
    const ofShare = lines.get(share)
    ofShare?.delete(line)
    if (ofShare?.size === 0) lines.delete(share)
    for (const key of owned) {
      const ofKey = kind.owners.get(key)
      ofKey?.delete(line)
      if (ofKey?.size === 0) kind.owners.delete(key)
    }
  }

  interface Next {
    place: Place
    entry: Entry
    reason: Reason
  }

  /** Of all that could be served there: its owner's, then whoever was given least, then who came first. */
  function nextFor({ seats: sharing }: Machine): Next | undefined {
    let next: Next | undefined
    for (const { places } of sharing) {
      for (const place of places) {
        if (!place.kind.free.has(place)) continue
        const own = ownerOf(place)
        const entry = (own ?? place.kind.lines.peek())?.first
        if (entry === undefined) continue
        const found: Next = { place, entry, reason: own === undefined ? 'least-loaded' : 'owner' }
        if (next === undefined || goesBefore(found, next)) next = found
      }
    }
    return next
  }

  /** The line of an owner, where others have participants as well. */
  function ownerOf({ seat, kind }: Place): Line | undefined {
    const { key } = seat.state
    let found: Line | undefined
    for (const line of kind.owners.get(key) ?? []) {
      const owns = line.first?.asker.owns
      if (owns === undefined || !owns.has(key) || ownsAll(kind, owns)) continue
      if (found === undefined || isBefore(line, found)) found = line
    }
    return found
  }

  function goesBefore(one: Next, other: Next): boolean {
    // Whoever names a server as theirs in a room of their own is not its owner in others' rooms.
    const isSameRoom = one.place.kind.room === other.place.kind.room
    if (isSameRoom && one.reason !== other.reason) return one.reason === 'owner'
    return isBefore(one.entry.line, other.entry.line)
  }

  function isBefore(one: Line, other: Line): boolean {
    return one.share.score === other.share.score
      ? arrivalOf(one) < arrivalOf(other)
      : one.share.score < other.share.score
  }

  function arrivalOf({ first }: Line): number {
    return first?.arrival ?? Number.POSITIVE_INFINITY
  }

  /** Hands free slots to those who wait for them. */
  function serve(machine: Machine): void {
    for (let next = nextFor(machine); next !== undefined; next = nextFor(machine)) {
      const { place, entry, reason } = next
      dequeue(entry)
      const isWarm = warmBytesOf(place, entry.asker.prefix ?? NO_PREFIX) > 0
      const why = reason !== 'owner' && place.kind.places.size === 1 ? 'only' : reason
      const granted = grant(place, isWarm && why === 'least-loaded' ? 'warm' : why, entry.asker, entry.line.share)
      entry.turn.onGrant(granted)
    }
  }

  // --- what is told

  function machineOf(key: string): Machine {
    const machine = machines.get(key) ?? { key, seats: new Set(), running: 0, capacity: 0 }
    machines.set(key, machine)
    return machine
  }

  function isSame(one: SeatState, other: SeatState): boolean {
    return one.machine === other.machine && one.slots === other.slots && one.closed === other.closed
  }

  function putSeats(states: readonly SeatState[]): void {
    const touched = new Set<Machine>()
    for (const state of states) {
      const seat = seats.get(state.key)
      if (seat !== undefined && isSame(seat.state, state)) continue
      if (seat === undefined) addSeat(state)
      else if (seat.machine.key === state.machine) seat.state = state
      else move(seat, state)
      touched.add(machineOf(state.machine))
    }
    for (const machine of touched) {
      measureCapacity(machine)
      settleMachine(machine)
    }
    for (const machine of touched) serve(machine)
  }

  function addSeat(state: SeatState): Seat {
    const machine = machineOf(state.machine)
    const fresh = { state, machine, running: 0, isBusy: false, lastTurn: 0, places: new Set<Place>(), isGone: false }
    const seat = seatIn(machine, state.key) ?? fresh
    Object.assign(seat, { state, isBusy: false, isGone: false })
    machine.seats.add(seat)
    seats.set(state.key, seat)
    return seat
  }

  /** It left, is back, and what it was given before still runs. */
  function seatIn(machine: Machine, key: string): Seat | undefined {
    for (const seat of machine.seats) if (seat.state.key === key) return seat
    return undefined
  }

  /** It is kept while requests run on it: they must give their slots back to the right machine. */
  function leave(seat: Seat): void {
    seat.isGone = true
    forgetIfGone(seat)
    measureCapacity(seat.machine)
    settleMachine(seat.machine)
  }

  function forgetIfGone(seat: Seat): void {
    const { machine } = seat
    if (!seat.isGone || seat.running > 0) return
    machine.seats.delete(seat)
    if (machine.seats.size === 0) machines.delete(machine.key)
  }

  function removePlace(place: Place): void {
    const { kind, seat } = place
    account(place)
    if (isUnloaded(place)) kind.unloaded -= 1
    kind.free.delete(place)
    kind.places.delete(seat.state.key)
    kind.version += 1
    seat.places.delete(place)
  }

  /** What ran where it was still runs there; what it can do, it can do where it is now. */
  function move(from: Seat, state: SeatState): void {
    const to = addSeat(state)
    to.lastTurn = from.lastTurn
    to.isBusy = from.isBusy
    for (const place of from.places) {
      place.seat = to
      to.places.add(place)
    }
    from.places.clear()
    leave(from)
  }

  return {
    /** A participant has come, or is not what it was. */
    putSeat(state: SeatState): void {
      putSeats([state])
    },

    /** Several at once: participants that are one server are settled together, so that many of them cost no more than each. */
    putSeats,

    removeSeat(key: string): void {
      const seat = seats.get(key)
      if (seat === undefined) return
      const touched = new Set(Array.from(seat.places, ({ kind }) => kind))
      for (const place of [...seat.places]) removePlace(place)
      seats.delete(key)
      passed.delete(key)
      leave(seat)
      for (const kind of touched) refuseIfNobody(kind)
    },

    /** @param roomId those of one room count as one queue */
    addKind(roomId: string) {
      const room = rooms.get(roomId) ?? { waiting: 0 }
      rooms.set(roomId, room)
      const kind: KindState = {
        room,
        places: new Map(),
        free: new Heap(isBetter),
        lines: new Heap(isBefore),
        byClient: new Map(),
        owners: new Map(),
        granted: 0,
        unloaded: 0,
        version: 0,
        covering: new WeakMap(),
      }

      return {
        /** Who could serve it from now on. */
        set(states: readonly PlaceState[]): void {
          const wanted = new Map(states.map((state) => [state.key, state]))
          for (const place of [...kind.places.values()]) {
            if (!wanted.has(place.seat.state.key)) removePlace(place)
          }
          const touched = new Set<Machine>()
          for (const state of states) {
            const seat = seats.get(state.key)
            if (seat === undefined) continue
            setPlace(kind, seat, state)
            touched.add(seat.machine)
          }
          if (kind.lines.size > 0) for (const machine of touched) serve(machine)
          refuseIfNobody(kind)
        },

        /** Its turn at once, or a place in the queue. */
        enter(asker: Asker, turn: Turn): Waiting | undefined {
          const chosen = choose(kind, asker)
          if (chosen !== undefined) {
            turn.onGrant(grant(chosen.place, chosen.reason, asker, shares.of(asker.client)))
            return undefined
          }
          const entry = enqueue(kind, asker, turn)
          return { position: kind.room.waiting, leave: () => void dequeue(entry) }
        },

        /** Nobody has a free slot. */
        get isFull(): boolean {
          return kind.free.size === 0
        },

        get isIdle(): boolean {
          return kind.lines.size === 0
        },

        /** It is not needed any more; nobody may wait in it. */
        remove(): void {
          for (const place of [...kind.places.values()]) removePlace(place)
        },
      }
    },

    /** How many wait in the room. */
    waitingIn: (roomId: string): number => rooms.get(roomId)?.waiting ?? 0,

    /** Whether all slots of the participant are taken, here or by others who share its server. */
    isBusy(key: string): boolean {
      return seats.get(key)?.isBusy ?? false
    },

    runningOn: (key: string): number => seats.get(key)?.running ?? 0,

    /** The requests that a participant was passed over for since it joined, by reason. */
    passedOver(key: string): Partial<Record<PassedOver, number>> {
      for (const place of seats.get(key)?.places ?? []) account(place)
      return { ...passed.get(key) }
    },

    forgetRoom(roomId: string): void {
      rooms.delete(roomId)
    },
  }

  function setPlace(kind: KindState, seat: Seat, state: PlaceState): void {
    const place = kind.places.get(state.key) ?? addPlace(kind, seat, state)
    place.state = state
    settle(place)
  }

  function addPlace(kind: KindState, seat: Seat, state: PlaceState): Place {
    const standing = { standing: 'outranked', since: kind.granted } as const
    const rank = { isLoaded: true, msPerByte: 0, pace: 0, lastTurn: 0, at: NOWHERE }
    const place: Place = { seat, kind, state, ...standing, ...rank }
    kind.places.set(state.key, place)
    kind.version += 1
    seat.places.add(place)
    return place
  }

  function refuseIfNobody(kind: KindState): void {
    if (kind.lines.size === 0) return
    for (const { seat, state } of kind.places.values())
      if (seat.state.closed === undefined && state.isUnable !== true) return
    for (const line of [...kind.lines.values()]) {
      for (let { first: entry } = line; entry !== undefined; entry = line.first) {
        dequeue(entry)
        entry.turn.onNobody()
      }
    }
  }
}
