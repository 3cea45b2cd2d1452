import { type IncomingMessage, request } from 'node:http'
import type { Test } from 'tap'
import type { Participant, ParticipantPatch } from '../../schemas/participant.ts'
import type { RoomView } from '../../schemas/room.ts'
import { type Answer, call, type OpenRoom, openRoom } from './hub.ts'

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

/** Either what was asked for, or why not. */
export type OrError<T> = T & { error?: string }

export interface ManagedRoom extends OpenRoom {
  /** URL of the room. */
  base: string
  asHost: Record<string, string>
  view(): Promise<Answer<OrError<{ room: RoomView }>>>
  change(body: unknown, headers?: Record<string, string>): Promise<Answer<OrError<{ room: RoomView }>>>
  close(headers?: Record<string, string>): Promise<Answer<OrError<{ success?: true }>>>
  look(id: string): Promise<Answer<OrError<{ participant: Participant }>>>
  changeParticipant(
    id: string,
    body: ParticipantPatch | Record<string, unknown>,
    token?: string,
  ): Promise<Answer<OrError<{ participant: Participant }>>>
  chat(body?: Record<string, unknown>): Promise<Answer<ChatAnswer>>
}

export interface ChatAnswer {
  choices?: { message: { content: string } }[]
  error?: { message: string; type: string; code: string | null; param: string | null }
}

/** A room, and what its host does with it. */
export async function manageRoom(hubUrl: string, body?: Record<string, unknown>): Promise<ManagedRoom> {
  const opened = await openRoom(hubUrl, body)
  const base = `${hubUrl}/rooms/${opened.room.code}`
  const asHost = bearer(opened.hostToken)
  return {
    ...opened,
    base,
    asHost,
    view: () => call('GET', base),
    change: (changes, headers = asHost) => call('PATCH', base, changes, headers),
    close: (headers = asHost) => call('DELETE', base, undefined, headers),
    look: (id) => call('GET', `${base}/participants/${id}`),
    changeParticipant: (id, changes, token) =>
      call('PATCH', `${base}/participants/${id}`, changes, token === undefined ? {} : bearer(token)),
    chat: (asked = {}) => call('POST', `${base}/v1/chat/completions`, { model: '*', messages: [], ...asked }),
  }
}

export interface OpenAnswer {
  response: IncomingMessage
  /** What has come so far. */
  text(): string
  /** Resolves once that much of the answer has come. */
  until(part: string): Promise<void>
  /** How it ended: `complete` is false where the connection broke off. */
  ended: Promise<{ complete: boolean; text: string }>
}

/** A request whose answer is looked at while it comes; given up when the test ends. */
export async function startRequest(t: Test, url: string, body: unknown): Promise<OpenAnswer> {
  const outgoing = request(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } })
  t.teardown(() => outgoing.destroy())
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  outgoing.once('response', resolve).on('error', reject)
  outgoing.end(JSON.stringify(body))
  return watch(await promise)
}

function watch(response: IncomingMessage): OpenAnswer {
  const { promise: ended, resolve: end } = Promise.withResolvers<{ complete: boolean; text: string }>()
  let text = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  response.on('error', () => {})
  response.once('close', () => end({ complete: response.complete, text }))
  const until = async (part: string) => {
    while (!text.includes(part)) {
      if (response.closed) throw new Error(`the answer ended without ${part}: ${text}`)
      await Promise.race([new Promise((resolve) => response.once('data', resolve)), ended])
    }
  }
  return { response, text: () => text, until, ended }
}
