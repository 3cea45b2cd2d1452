import assert from 'node:assert/strict'
import {
  createScheduler,
  type Grant,
  type Kind,
  type PlaceState,
  type SeatState,
  type Waiting,
} from '../../plugins/ollama-proxy/choosing/scheduler.ts'

/** Two rooms, one of which has two kinds of requests. */
const ROOM_OF_KIND = ['one', 'one', 'two'] as const
export const KINDS = ROOM_OF_KIND.length

const REASONS: ReadonlySet<string> = new Set(['only', 'owner', 'warm', 'loaded', 'least-loaded', 'fastest'])

export type Step =
  | { do: 'enter'; kind: number; client: string; owns: readonly string[]; isInstant: boolean }
  | { do: 'release' | 'again' | 'leave'; which: number }
  | { do: 'put'; seat: SeatState }
  | { do: 'remove'; key: string }
  | { do: 'set'; kind: number; places: readonly PlaceState[] }
  | { do: 'clock'; now: number }

interface Request {
  readonly kind: number
  readonly client: string
  readonly owns: ReadonlySet<string>
  /** Gives its slot back in the moment in which it gets it. */
  readonly isInstant: boolean
  state: 'waiting' | 'running' | 'ended' | 'left' | 'refused'
  waiting: Waiting | undefined
  grant: Grant | undefined
  machine: string
}

/**
 * A scheduler, and beside it what must be true of it, kept in the plainest way: lists that are searched through. Each step
 * is checked while the scheduler takes it, and after it.
 */
export class World {
  readonly #told = { now: 0 }
  readonly #busy = new Map<string, boolean>()
  readonly #scheduler = createScheduler({
    now: () => this.#told.now,
    onBusy: (key, isBusy) => void this.#busy.set(key, isBusy),
  })
  readonly #kinds: Kind[] = ROOM_OF_KIND.map((room) => this.#scheduler.addKind(room))
  readonly #places = ROOM_OF_KIND.map(() => new Map<string, PlaceState>())
  readonly #seats = new Map<string, SeatState>()
  readonly #requests: Request[] = []

  take(step: Step): void {
    this.#run(step)
    this.#check()
  }

  /** Everybody is served who can be, and nothing is left behind. */
  end(): void {
    for (let round = 0; this.#with('running').length > 0; round++) {
      assert.ok(round < 1000, 'it comes to an end')
      for (const request of this.#with('running')) this.#release(request)
      this.#check()
    }
    for (const key of [...this.#seats.keys()]) this.take({ do: 'remove', key })
    for (let kind = 0; kind < KINDS; kind++) this.take({ do: 'set', kind, places: [] })
    assert.equal(this.#with('waiting').length, 0)
  }

  #run(step: Step): void {
    if (step.do === 'enter') this.#enter(step)
    else if (step.do === 'put') {
      this.#seats.set(step.seat.key, step.seat)
      this.#scheduler.putSeat(step.seat)
    } else if (step.do === 'remove') this.#remove(step.key)
    else if (step.do === 'set') this.#set(step.kind, step.places)
    else if (step.do === 'clock') this.#told.now = step.now
    else this.#pick(step.do, step.which)
  }

  #enter({ kind, client, owns, isInstant }: Extract<Step, { do: 'enter' }>): void {
    const request: Request = {
      kind,
      client,
      owns: new Set(owns),
      isInstant,
      state: 'waiting',
      waiting: undefined,
      grant: undefined,
      machine: '',
    }
    this.#requests.push(request)
    const before = this.#waitingIn(kind)
    const own = this.#freePlaces(kind).filter((key) => request.owns.has(key))
    const waiting = this.#kinds[kind]!.enter(
      { client, owns: request.owns },
      { onGrant: (grant) => this.#granted(request, grant), onNobody: () => this.#refused(request) },
    )
    assert.equal(waiting === undefined, request.state !== 'waiting')
    if (waiting !== undefined) assert.equal(waiting.position, before)
    else if (own.length > 0 && !this.#ownsAll(request)) assert.equal(request.grant?.reason, 'owner')
    request.waiting = waiting
  }

  #remove(key: string): void {
    const touched = this.#places.flatMap((places, kind) => (places.has(key) ? [kind] : []))
    this.#seats.delete(key)
    this.#busy.delete(key)
    for (const places of this.#places) places.delete(key)
    this.#scheduler.removeSeat(key)
    for (const kind of touched) this.#checkRefused(kind)
  }

  #set(kind: number, states: readonly PlaceState[]): void {
    const known = states.filter(({ key }) => this.#seats.has(key))
    this.#places[kind] = new Map(known.map((state) => [state.key, state]))
    this.#kinds[kind]!.set(states)
    this.#checkRefused(kind)
  }

  #pick(what: 'release' | 'again' | 'leave', which: number): void {
    const states = { release: 'running', again: 'ended', leave: 'waiting' } as const
    const found = this.#with(states[what])
    const request = found[which % found.length]
    if (request === undefined) return
    if (what === 'release') this.#release(request)
    else if (what === 'again') request.grant!.release()
    else this.#leave(request)
  }

  #release(request: Request): void {
    request.state = 'ended'
    request.grant!.release()
    // It was its turn long ago.
    request.waiting?.leave()
  }

  #leave(request: Request): void {
    request.state = 'left'
    request.waiting!.leave()
    request.waiting!.leave()
  }

  // --- what the scheduler tells

  #granted(request: Request, grant: Grant): void {
    const { kind, client } = request
    const { key, reason } = grant
    assert.equal(request.state, 'waiting', 'nobody is served twice, nor who has left or was refused')
    assert.ok(REASONS.has(reason), reason)
    assert.ok(this.#freePlaces(kind).includes(key), `${key} has a slot, and can serve it`)
    assert.equal(grant.model, this.#places[kind]!.get(key)!.model)
    const [first] = this.#with('waiting').filter((other) => other.kind === kind && other.client === client)
    assert.equal(first, request, 'first come, first served')
    assert.equal(reason === 'only', this.#places[kind]!.size === 1)
    if (reason === 'owner') assert.ok(request.owns.has(key) && !this.#ownsAll(request), 'an owner, among others')
    else assert.equal(this.#ownerOf(key, kind), undefined, 'no owner is passed over')
    Object.assign(request, { state: 'running', grant, machine: this.#seats.get(key)!.machine })
    if (request.isInstant) this.#release(request)
  }

  #refused(request: Request): void {
    assert.equal(request.state, 'waiting', 'nobody is refused twice, nor who was served or has left')
    assert.ok(!this.#hasAble(request.kind), 'there is nobody who could serve it')
    request.state = 'refused'
  }

  // --- what must be true

  #check(): void {
    for (let kind = 0; kind < KINDS; kind++) {
      const waiting = this.#with('waiting').filter((request) => request.kind === kind).length
      const free = this.#freePlaces(kind)
      assert.ok(waiting === 0 || free.length === 0, `${free} are free while ${waiting} wait`)
      assert.equal(this.#kinds[kind]!.isIdle, waiting === 0)
      assert.equal(this.#kinds[kind]!.isFull, free.length === 0)
      assert.equal(this.#scheduler.waitingIn(ROOM_OF_KIND[kind]!), this.#waitingIn(kind))
    }
    for (const [key, { closed }] of this.#seats) {
      const isBusy = closed === undefined && !this.#hasSlot(key)
      assert.equal(this.#scheduler.isBusy(key), isBusy)
      assert.equal(this.#busy.get(key) ?? false, isBusy, 'it was told')
      assert.equal(this.#scheduler.runningOn(key), this.#runningOf(key))
    }
  }

  #checkRefused(kind: number): void {
    const waiting = this.#with('waiting').filter((request) => request.kind === kind)
    assert.ok(waiting.length === 0 || this.#hasAble(kind), 'nobody waits for nobody')
  }

  #with(state: Request['state']): Request[] {
    return this.#requests.filter((request) => request.state === state)
  }

  #waitingIn(kind: number): number {
    return this.#with('waiting').filter((request) => ROOM_OF_KIND[request.kind] === ROOM_OF_KIND[kind]).length
  }

  #runningOf(key: string): number {
    const machine = this.#seats.get(key)?.machine
    return this.#with('running').filter((request) => request.grant!.key === key && request.machine === machine).length
  }

  #hasSlot(key: string): boolean {
    const { slots, machine } = this.#seats.get(key)!
    const sharing = [...this.#seats.values()].filter((seat) => seat.machine === machine)
    const running = this.#with('running').filter((request) => request.machine === machine).length
    return this.#runningOf(key) < slots && running < Math.max(...sharing.map((seat) => seat.slots))
  }

  #isAble({ key, isUnable }: PlaceState): boolean {
    return isUnable !== true && this.#seats.get(key)!.closed === undefined
  }

  #hasAble(kind: number): boolean {
    return [...this.#places[kind]!.values()].some((place) => this.#isAble(place))
  }

  #freePlaces(kind: number): string[] {
    const able = [...this.#places[kind]!.values()].filter((place) => this.#isAble(place))
    return able.map(({ key }) => key).filter((key) => this.#hasSlot(key))
  }

  #ownsAll({ kind, owns }: Request): boolean {
    return [...this.#places[kind]!.keys()].every((key) => owns.has(key))
  }

  /** Who waits at the head of a client's line, and has the machine. */
  #ownerOf(key: string, kind: number): Request | undefined {
    const heads = new Map<string, Request>()
    for (const request of this.#with('waiting')) {
      if (request.kind === kind && !heads.has(request.client)) heads.set(request.client, request)
    }
    return [...heads.values()].find((request) => request.owns.has(key) && !this.#ownsAll(request))
  }
}
