import type { Clock } from '../../schemas/clock.ts'
import type { EventType } from '../../schemas/events.ts'
import type { EventBus, EventSink, RoomEventOptions, SubscribeOptions, Subscription } from './bus.ts'
import { formatCursor, parseCursor } from './cursor.ts'
import { COMMENT_FRAME, checkLine, encodeBody, encodeComment, encodeId, RETRY_MS } from './frames.ts'
import { bodyOf, type Entry, History, type Published } from './history.ts'

export interface MemoryBusOptions {
  clock: Clock
  /** Names this run of the hub in the ids of events; letters, digits, `_` and `-`. */
  epoch: string
  /** Events kept for replay, per room. A reader that falls further behind is cut off, so this bounds its backlog too. */
  historyEvents: number
  /** How long a reader may take nothing at all before it is cut off: its socket and buffers are somebody else's memory. */
  stallMs: number
}

/** Rooms whose end is remembered: long enough for what was under way then. */
const MAX_ENDED = 10_000

interface Channel {
  readonly epoch: string
  readonly history: History
  readonly readers: Set<Reader>
}

interface Reader {
  readonly sink: EventSink
  readonly channel: Channel
  hubSeq: number
  roomSeq: number
  /** When its buffer filled up; undefined while it reads along. */
  blockedSince: number | undefined
}

/** A whole frame, and what it was made for. */
interface Frame {
  entry: Entry | undefined
  channel: Channel | undefined
  hubSeq: number
  roomSeq: number
  text: string
}

/**
 * Readers hold no queue of their own, only their place in the history: a slow one costs no memory, and catches up from
 * there when its socket drains. The driver for a hub that is one process.
 */
export class MemoryEventBus implements EventBus {
  readonly #options: MemoryBusOptions
  readonly #hub: History
  readonly #feed: Channel
  readonly #rooms = new Map<string, Channel>()
  readonly #readers = new Set<Reader>()
  readonly #ended = new Set<string>()
  /** Every live subscriber of a room gets the same string. */
  readonly #last: Frame = { entry: undefined, channel: undefined, hubSeq: 0, roomSeq: 0, text: '' }
  #order = 0
  #channels = 0
  #isClosed = false

  constructor(options: MemoryBusOptions) {
    this.#options = options
    this.#hub = new History(options.historyEvents)
    this.#feed = this.#createChannel('hub')
  }

  get size(): number {
    return this.#readers.size
  }

  publishToHub(type: EventType, data: unknown): void {
    const entry = this.#hub.append(this.#publish(type, data))
    for (const reader of this.#readers) {
      if (reader.blockedSince !== undefined) continue
      reader.hubSeq = entry.seq
      this.#write(reader, entry)
    }
  }

  publishToRoom(roomId: string, type: EventType, data: unknown, { feed = false }: RoomEventOptions = {}): void {
    // What a room does behind its end is nobody's to see, and would bring its history back for good.
    if (this.#ended.has(roomId)) return
    const event = this.#publish(type, data)
    this.#append(this.#channelOf(roomId), event)
    if (feed) this.#append(this.#feed, event)
  }

  subscribe({ roomId, clientId, lastEventId, sink }: SubscribeOptions): Subscription {
    // Who may read a room shows that it is there.
    if (roomId !== undefined) this.#ended.delete(roomId)
    const channel = roomId === undefined ? this.#feed : this.#channelOf(roomId)
    const reader: Reader = { sink, channel, hubSeq: 0, roomSeq: 0, blockedSince: undefined }
    const gap = this.#place(reader, lastEventId)
    channel.readers.add(reader)
    this.#readers.add(reader)
    this.#greet(reader, clientId, gap)
    if (this.#isClosed) this.#end(reader, 'the hub is shutting down')
    else this.#pump(reader)
    return { resume: () => this.#resume(reader), close: () => this.#remove(reader) }
  }

  endRoom(roomId: string, comment: string): void {
    const channel = this.#rooms.get(roomId)
    this.#rememberEnd(roomId)
    if (channel === undefined) return
    this.#rooms.delete(roomId)
    for (const reader of channel.readers) this.#end(reader, comment)
    // With it the room's history would stay.
    if (this.#last.channel === channel) Object.assign(this.#last, { channel: undefined, entry: undefined })
  }

  beat(): void {
    const cutOff = this.#options.clock.elapsed() - this.#options.stallMs
    for (const reader of this.#readers) {
      if (reader.blockedSince === undefined) this.#push(reader, COMMENT_FRAME)
      else if (reader.blockedSince < cutOff) this.#end(reader, 'you read too slowly')
    }
  }

  close(): void {
    this.#isClosed = true
    for (const reader of this.#readers) this.#end(reader, 'the hub is shutting down')
    this.#rooms.clear()
  }

  /** A name that can't be sent is refused here, before it stands in anybody's history. */
  #publish(type: EventType, data: unknown): Published {
    checkLine('event', type)
    this.#order += 1
    return { order: this.#order, type, data, body: undefined }
  }

  #channelOf(roomId: string): Channel {
    let channel = this.#rooms.get(roomId)
    if (channel === undefined) {
      channel = this.#createChannel(roomId)
      this.#rooms.set(roomId, channel)
    }
    return channel
  }

  #rememberEnd(roomId: string): void {
    this.#ended.add(roomId)
    for (const oldest of this.#ended) {
      if (this.#ended.size <= MAX_ENDED) break
      this.#ended.delete(oldest)
    }
  }

  #createChannel(salt: string): Channel {
    this.#channels += 1
    return {
      // The number tells a room's history from one of the same room that was forgotten.
      epoch: `${this.#options.epoch}${salt}-${this.#channels.toString(36)}`,
      history: new History(this.#options.historyEvents),
      readers: new Set(),
    }
  }

  #append(channel: Channel, event: Published): void {
    const entry = channel.history.append(event)
    for (const reader of channel.readers) {
      if (reader.blockedSince !== undefined) continue
      reader.roomSeq = entry.seq
      this.#write(reader, entry)
    }
  }

  /** @returns why what was missed can't be replayed, where it can't. */
  #place(reader: Reader, lastEventId: string | undefined): string | undefined {
    const { epoch, history } = reader.channel
    reader.hubSeq = this.#hub.seq
    reader.roomSeq = history.seq
    if (lastEventId === undefined || lastEventId === '') return undefined
    const cursor = parseCursor(epoch, lastEventId)
    if (cursor === undefined) return 'the id is of another room or of an earlier run of the hub'
    if (!this.#hub.reaches(cursor.hubSeq) || !history.reaches(cursor.roomSeq)) return 'too much has happened since'
    reader.hubSeq = cursor.hubSeq
    reader.roomSeq = cursor.roomSeq
    return undefined
  }

  #greet(reader: Reader, clientId: string, gap: string | undefined): void {
    const id = encodeId(formatCursor(reader.channel.epoch, reader.hubSeq, reader.roomSeq))
    this.#push(reader, `retry: ${RETRY_MS}\n${id}${encodeBody('connected', { clientId })}`)
    if (gap !== undefined) this.#push(reader, `${id}${encodeBody('gap', { reason: gap })}`)
  }

  #resume(reader: Reader): void {
    if (reader.blockedSince === undefined || !this.#readers.has(reader)) return
    reader.blockedSince = undefined
    this.#pump(reader)
  }

  /** Writes what the reader has not seen, oldest first, as far as its socket takes it. */
  #pump(reader: Reader): void {
    const { history } = reader.channel
    while (reader.blockedSince === undefined) {
      if (!this.#hub.reaches(reader.hubSeq) || !history.reaches(reader.roomSeq)) {
        this.#end(reader, 'you read too slowly')
        return
      }
      const hubNext = this.#hub.after(reader.hubSeq)
      const roomNext = history.after(reader.roomSeq)
      if (hubNext !== undefined && (roomNext === undefined || hubNext.event.order < roomNext.event.order)) {
        reader.hubSeq = hubNext.seq
        this.#write(reader, hubNext)
      } else if (roomNext !== undefined) {
        reader.roomSeq = roomNext.seq
        this.#write(reader, roomNext)
      } else {
        return
      }
    }
  }

  #write(reader: Reader, entry: Entry): void {
    const { channel, hubSeq, roomSeq } = reader
    const last = this.#last
    const isSame =
      last.entry === entry && last.channel === channel && last.hubSeq === hubSeq && last.roomSeq === roomSeq
    if (!isSame) {
      last.text = encodeId(formatCursor(channel.epoch, hubSeq, roomSeq)) + bodyOf(entry)
      Object.assign(last, { entry, channel, hubSeq, roomSeq })
    }
    this.#push(reader, last.text)
  }

  #push(reader: Reader, frame: string): void {
    if (!reader.sink.write(frame)) reader.blockedSince ??= this.#options.clock.elapsed()
  }

  #end(reader: Reader, comment: string): void {
    this.#remove(reader)
    reader.sink.end(encodeComment(comment))
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader)
    reader.channel.readers.delete(reader)
  }
}
