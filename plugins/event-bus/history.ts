import type { EventType } from '../../schemas/events.ts'
import { encodeBody } from './frames.ts'

/** What was published; one that stands in two histories is encoded once for both. */
export interface Published {
  /** Position among all events of the bus: merges two histories in the order of publishing. */
  readonly order: number
  readonly type: EventType
  /** Let go once it is encoded. */
  data: unknown
  /** Encoded when somebody first reads it, and only then. */
  body: string | undefined
}

export interface Entry {
  /** Position in this history, from 1. */
  readonly seq: number
  readonly event: Published
}

export function bodyOf({ event }: Entry): string {
  if (event.body === undefined) {
    event.body = encodeBody(event.type, event.data)
    event.data = undefined
  }
  return event.body
}

/** The last `capacity` events of one sequence, in a ring that grows only as far as it is used. */
export class History {
  readonly #capacity: number
  readonly #ring: Entry[] = []
  #seq = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Of the newest event; 0 before the first. */
  get seq(): number {
    return this.#seq
  }

  append(event: Published): Entry {
    this.#seq += 1
    const entry: Entry = { seq: this.#seq, event }
    this.#ring[(this.#seq - 1) % this.#capacity] = entry
    return entry
  }

  /** The event behind `seq`; undefined where there is none yet, or none any more. */
  after(seq: number): Entry | undefined {
    const entry = this.#ring[seq % this.#capacity]
    return entry?.seq === seq + 1 ? entry : undefined
  }

  /** Whether all that came behind `seq` is still here. */
  reaches(seq: number): boolean {
    return seq <= this.#seq && this.#seq - seq <= this.#ring.length
  }
}
