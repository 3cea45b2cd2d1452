import {
  type Asker,
  createScheduler,
  type Grant,
  type Kind,
  type PlaceState,
  type Scheduler,
  type SchedulerOptions,
  type SeatState,
  type Speed,
} from '../../plugins/ollama-proxy/choosing/scheduler.ts'

export const MODEL = 'llama3.2:3b'

/** A request, and what has become of it so far. */
export interface Request {
  readonly client: string
  grant: Grant | undefined
  /** How often it was told what. */
  grants: number
  refusals: number
  /** Absent: it was its turn at once. */
  position: number | undefined
  leave(): void
}

export interface Table {
  readonly scheduler: Scheduler
  readonly kind: Kind
  /** Settable: what the scheduler's clock says, and how fast participants have been. */
  readonly told: { now: number; speeds: Record<string, Speed> }
  /** Participants come, or change; each is a server of its own unless it says otherwise. */
  put(...states: (Partial<SeatState> & { key: string })[]): void
  /** Who could serve requests of the kind. */
  set(...places: (string | (Partial<PlaceState> & { key: string }))[]): void
  ask(client?: string, over?: Partial<Asker>, kind?: Kind): Request
}

/** One room, with one kind of requests, and a clock that stands still. */
export function openTable(options: Partial<SchedulerOptions> = {}): Table {
  const told: Table['told'] = { now: 0, speeds: {} }
  const scheduler = createScheduler({ now: () => told.now, speedOf: (key) => told.speeds[key] ?? {}, ...options })
  const kind = scheduler.addKind('room')
  return {
    scheduler,
    kind,
    told,
    put(...states) {
      for (const state of states) scheduler.putSeat({ machine: `http://${state.key}`, slots: 1, ...state })
    },
    set: (...places) => setPlaces(kind, ...places),
    ask: (client = 'somebody', over = {}, of = kind) => ask(of, { client, ...over }),
  }
}

export function setPlaces(kind: Kind, ...places: (string | (Partial<PlaceState> & { key: string }))[]): void {
  kind.set(places.map((place) => ({ model: MODEL, ...(typeof place === 'string' ? { key: place } : place) })))
}

function ask(kind: Kind, asker: Asker): Request {
  const request: Request = {
    client: asker.client,
    grant: undefined,
    grants: 0,
    refusals: 0,
    position: undefined,
    leave: () => {},
  }
  const waiting = kind.enter(asker, {
    onGrant(grant) {
      request.grant = grant
      request.grants += 1
    },
    onNobody() {
      request.refusals += 1
    },
  })
  if (waiting === undefined) return request
  return Object.assign(request, { position: waiting.position, leave: waiting.leave })
}
