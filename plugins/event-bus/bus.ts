import type { EventData, EventType } from '../../schemas/events.ts'

/**
 * Where a subscriber's frames go. One call of `write` is one whole frame.
 * @returns `write`: false when the reader is behind; nothing more is written until `Subscription.resume()`.
 */
export interface EventSink {
  write(frame: string): boolean
  /** The bus is done with this subscriber; `comment` is the last line to send, if it can still be read. */
  end(comment: string): void
}

export interface SubscribeOptions {
  /** Absent: the hub-wide feed (`GET /events`). */
  roomId?: string
  clientId: string
  /** What the client saw last; replay starts behind it. */
  lastEventId?: string
  sink: EventSink
}

export interface Subscription {
  /** The reader caught up: go on writing. */
  resume(): void
  close(): void
}

export interface RoomEventOptions {
  /** Also to the hub-wide feed. */
  feed?: boolean
}

/**
 * The event bus: an ordered, bounded and replayable sequence per room and one for the whole hub.
 * Published data belongs to the bus: never change an object after it was published.
 */
export interface EventBus {
  /** To every subscriber of the hub, whatever its room. */
  publishToHub<T extends EventType>(type: T, data: EventData<T>): void
  /** To the subscribers of one room. */
  publishToRoom<T extends EventType>(roomId: string, type: T, data: EventData<T>, options?: RoomEventOptions): void
  subscribe(options: SubscribeOptions): Subscription
  /** Ends the room's streams and forgets its history. */
  endRoom(roomId: string, comment: string): void
  /** One comment to everybody who reads: keeps proxies and dead peers honest. Cuts off who has not read for too long. */
  beat(): void
  /** How many subscribers there are now. */
  readonly size: number
  /** Ends every stream. */
  close(): void
}
