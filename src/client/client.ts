import type { JoinBody, MeasuredParticipant, Participant, ParticipantPatch } from '../../schemas/participant.ts'
import type { CreateRoomBody, ListedRoom, Room, RoomView } from '../../schemas/room.ts'
import { type ChatAnswer, type ChatRequest, chat } from './chat.ts'
import { HubError, NotAHub } from './errors.ts'
import { ask, type Call, type HttpOptions } from './http.ts'

export type { ChatAnswer, ChatRequest } from './chat.ts'
export { HubError, HubUnreachable, NotAHub, ParticipantError } from './errors.ts'

export interface ClientOptions {
  /** Of the hub, like `http://192.168.1.5:3000`. */
  url: string
  /** How long the hub may take for one answer of its own API; a chat is as long as its participant makes it. @default 10_000 */
  timeoutMs?: number
  /** @default the runtime's own */
  fetch?: typeof fetch
}

/** How to show who one is, and when to give up. */
export interface CallOptions {
  /** The room's password, or a token. */
  credential?: string | undefined
  signal?: AbortSignal | undefined
}

export interface CreatedRoom {
  room: Room
  hostId: string
  /** Proves who is host; shown this once. */
  hostToken: string
  protected: boolean
}

export interface JoinedRoom {
  participant: Participant
  roomId: string
  /** Proves who this participant is. */
  token: string
}

/** A page of the list of rooms. */
const PAGE = 500

/** A hub with more rooms than this is no place to look for one in a list. */
const MAX_PAGES = 20

export type Client = ReturnType<typeof createClient>

/**
 * A hub's API, for programs and browsers: `const hub = createClient({ url: 'http://localhost:3000' })`. All calls throw
 * `HubError` where the hub refuses, `HubUnreachable` where none answers and `NotAHub` where something else does.
 */
export function createClient({ url, timeoutMs = 10_000, fetch = globalThis.fetch }: ClientOptions) {
  const http: HttpOptions = { url: bareUrl(url), timeoutMs, fetch: (...args) => fetch(...args) }
  const at = (code: string, rest = '') => `/rooms/${encodeURIComponent(code)}${rest}`
  const one = (code: string, id: string) => at(code, `/participants/${encodeURIComponent(id)}`)
  const call = <T>(path: string, method: Call['method'], options: CallOptions = {}, body?: object) =>
    ask<T>(http, {
      path,
      ...options,
      ...(method === undefined ? {} : { method }),
      ...(body === undefined ? {} : { body }),
    })

  return {
    url: http.url,

    /** Whether a hub answers there. */
    async check(options?: CallOptions): Promise<void> {
      const { status } = await call<{ status?: unknown }>('/livez', 'GET', options).catch((error: unknown) => {
        // No hub refuses this: it is the answer of something else, in its own words.
        throw error instanceof HubError && error.status < 500 ? new NotAHub(http.url) : error
      })
      if (status !== 'ok') throw new NotAHub(http.url)
    },

    /** The rooms that are listed, oldest first. */
    async rooms(options?: CallOptions): Promise<ListedRoom[]> {
      const rooms: ListedRoom[] = []
      let cursor = ''
      for (let page = 0; page < MAX_PAGES; page += 1) {
        const query = `?limit=${PAGE}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
        const answer = await call<{ rooms?: ListedRoom[]; cursor?: string }>(`/rooms${query}`, 'GET', options)
        if (!Array.isArray(answer.rooms)) throw new NotAHub(http.url)
        rooms.push(...answer.rooms)
        if (answer.cursor === undefined) break
        cursor = answer.cursor
      }
      return rooms
    },

    async room(code: string, options?: CallOptions): Promise<RoomView> {
      return (await call<{ room: RoomView }>(at(code), 'GET', options)).room
    },

    createRoom(body: CreateRoomBody, options?: CallOptions): Promise<CreatedRoom> {
      return call('/rooms', 'POST', options, body)
    },

    /** With the token of an earlier join as `credential` it is the same participant again. */
    join(code: string, body: JoinBody, options?: CallOptions): Promise<JoinedRoom> {
      return call(at(code, '/join'), 'POST', options, body)
    },

    async leave(code: string, id: string, options?: CallOptions): Promise<void> {
      await call(at(code, `/leave/${encodeURIComponent(id)}`), 'DELETE', options)
    },

    async heartbeat(code: string, id: string, options?: CallOptions): Promise<void> {
      await call(at(code, '/health'), 'POST', options, { id })
    },

    async participants(code: string, options?: CallOptions): Promise<MeasuredParticipant[]> {
      return (await call<{ participants: MeasuredParticipant[] }>(at(code, '/participants'), 'GET', options))
        .participants
    },

    async participant(code: string, id: string, options?: CallOptions): Promise<MeasuredParticipant> {
      return (await call<{ participant: MeasuredParticipant }>(one(code, id), 'GET', options)).participant
    },

    async updateParticipant(code: string, id: string, patch: ParticipantPatch, options?: CallOptions) {
      return (await call<{ participant: Participant }>(one(code, id), 'PATCH', options, patch)).participant
    },

    /** Asks a model of the room; the answer comes as it is made. @throws ParticipantError besides */
    chat(code: string, request: ChatRequest): Promise<ChatAnswer> {
      return chat(http, code, request)
    },
  }
}

function bareUrl(url: string): string {
  return url.replace(/\/+$/, '')
}
