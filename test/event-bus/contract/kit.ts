import type { Test } from 'tap'
import type { EventBus, SubscribeOptions, Subscription } from '../../../plugins/event-bus/bus.ts'
import type { Room } from '../../../schemas/room.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

export interface BusOptions {
  clock: ManualClock
  /** Events kept for replay, per room and for the whole hub. */
  historyEvents: number
  stallMs: number
}

export interface BusDriver {
  /** A bus with nothing in it; each one is another run of the hub. The contract closes it. */
  create(options: BusOptions): EventBus | Promise<EventBus>
}

export type Topic = (t: Test, driver: BusDriver) => void

export interface Bench {
  bus: EventBus
  clock: ManualClock
  read(options?: ReadOptions): Reader
}

export const HISTORY = 8
export const STALL_MS = 60_000

/** Rooms as the store names them. */
export const ROOM = 'V1StGXR8_Z5jdHi6B-myT'
export const OTHER_ROOM = 'pXk0-T2d_9uYw3LqGm4Rs'

/** Each test of a topic gets a bus of its own. */
export function busTests(t: Test, driver: BusDriver) {
  return (name: string, body: (t: Test, bench: Bench) => Promise<void>): void => {
    t.test(name, async (t) => {
      const clock = manualClock()
      const bus = await driver.create({ clock, historyEvents: HISTORY, stallMs: STALL_MS })
      t.teardown(() => bus.close())
      await body(t, { bus, clock, read: (options) => new Reader(bus, options) })
    })
  }
}

export interface Frame {
  id: string
  event: string
  data: Record<string, unknown>
  text: string
}

export type ReadOptions = Partial<Omit<SubscribeOptions, 'sink' | 'roomId'>> & {
  /** null: the hub-wide feed. */
  roomId?: string | null
  /** Takes so many frames, then says that it is behind. */
  room?: number
}

const WAIT_MS = 5000

/** A subscriber that writes down what it gets. */
export class Reader {
  /** Every write, as it came. */
  readonly writes: string[] = []
  /** The farewell, each time the bus said one. */
  readonly farewells: string[] = []
  readonly #subscription: Subscription
  #room: number
  #wake = () => {}

  constructor(
    bus: EventBus,
    { roomId = ROOM, clientId = 'client', room = Number.POSITIVE_INFINITY, ...rest }: ReadOptions = {},
  ) {
    this.#room = room
    this.#subscription = bus.subscribe({
      ...rest,
      ...(roomId === null ? {} : { roomId }),
      clientId,
      sink: { write: (frame) => this.#write(frame), end: (comment) => this.#end(comment) },
    })
  }

  /** What is an event; comments are not. */
  get frames(): Frame[] {
    return this.writes.filter((text) => !text.startsWith(':')).map(parseFrame)
  }

  /** What came behind `connected`. */
  get events(): Frame[] {
    return this.frames.filter(({ event }) => event !== 'connected')
  }

  /** What tells one test event from another: the name that it was published with. */
  get seen(): string[] {
    return this.events.map(({ event, data }) => String(data.name ?? data.participantId ?? event))
  }

  get comments(): string[] {
    return this.writes.filter((text) => text.startsWith(':'))
  }

  /** The place that the reader has come to. */
  get lastId(): string {
    return this.frames.at(-1)?.id ?? ''
  }

  /** A bus may deliver later than it publishes: waits until so many events, besides `connected`, have come. */
  async has(count: number): Promise<this> {
    await this.until(() => this.events.length >= count, `${count} events`)
    return this
  }

  async hasEnded(): Promise<this> {
    await this.until(() => this.farewells.length > 0, 'the end')
    return this
  }

  async until(isSo: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + WAIT_MS
    while (!isSo()) {
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`waited for ${what}; there is: ${this.writes.join('')}${this.farewells.join('')}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Its socket has drained, and takes so many frames more. */
  resume(room = Number.POSITIVE_INFINITY): void {
    this.#room = room
    this.#subscription.resume()
  }

  close(): void {
    this.#subscription.close()
  }

  #write(frame: string): boolean {
    this.writes.push(frame)
    this.#room -= 1
    this.#wake()
    return this.#room > 0
  }

  #end(comment: string): void {
    this.farewells.push(comment)
    this.#wake()
  }
}

function parseFrame(text: string): Frame {
  const fieldOf = (name: string) => new RegExp(`(?:^|\n)${name}: ([^\n]*)`).exec(text)?.[1] ?? ''
  return { id: fieldOf('id'), event: fieldOf('event'), data: JSON.parse(fieldOf('data')), text }
}

/** Publishes to a room: an event that `Reader.seen` shows by its name. */
export function tell(bus: EventBus, name: string, roomId = ROOM): void {
  bus.publishToRoom(roomId, 'participant:left', { participantId: name })
}

export function roomNamed(name: string): Room {
  return { id: ROOM, code: 'K7QX2M', name, hostId: 'host', createdAt: 1 }
}

/** Publishes to everybody: an event that `Reader.seen` shows by its name. */
export function tellAll(bus: EventBus, name: string): void {
  bus.publishToHub('room:created', roomNamed(name))
}

/** Publishes to a room and to the hub-wide feed. */
export function tellFeed(bus: EventBus, name: string, roomId = ROOM): void {
  const view = { ...roomNamed(name), participantCount: 0, protected: false, listed: true, aliases: {} }
  bus.publishToRoom(roomId, 'room:updated', view, { feed: true })
}

/** Room and hub-wide events in turn: `r1 h2 r3 …`. @returns their names */
export function tellMixed(bus: EventBus, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `${index % 2 === 0 ? 'r' : 'h'}${index + 1}`
    if (index % 2 === 0) tell(bus, name)
    else tellAll(bus, name)
    return name
  })
}

/** A frame's id with its last two numbers, which count hub-wide and room events, moved by so many. */
export function moved(id: string, hub: number, room: number): string {
  const [, epoch, hubSeq, roomSeq] = /^(.*)\.(\d+)\.(\d+)$/.exec(id) ?? []
  return `${epoch}.${Number(hubSeq) + hub}.${Number(roomSeq) + room}`
}
