import type { Test } from 'tap'
import type { JoinBody, Participant } from '../../schemas/participant.ts'
import type { Room } from '../../schemas/room.ts'
import { createHub, type Hub, type HubOptions } from '../../src/hub.ts'
import { holdToDescription } from './conformance.ts'
import { holdToSilence, keepLog, noteSecrets } from './secret-log.ts'

export interface RunningHub {
  hub: Hub
  url: string
}

/** A hub on a free port of the loopback, closed when the test ends. */
export async function startHub(t: Test, options: HubOptions = {}): Promise<RunningHub> {
  const log = keepLog()
  // Most tests are about one attempt, and none that waits; those about the others say so.
  const tame = { maxAttempts: 1, defaultSlots: 100, learnIntervalMs: 0 }
  const hub = createHub({ host: '127.0.0.1', port: 0, graceMs: 500, ...tame, logger: log.logger, ...options })
  // Behind the close, since teardowns run backwards: until then the hub may answer.
  holdToDescription(t, await hub.app)
  let url = ''
  holdToSilence(t, log, () => url)
  t.teardown(() => hub.close())
  url = await hub.listen()
  return { hub, url }
}

export interface OpenRoom {
  room: Room
  hostId: string
  hostToken: string
}

export interface Answer<T = Record<string, unknown>> {
  status: number
  headers: Headers
  body: T
}

/** One request with a JSON body, and the JSON that came back (undefined where there was none). */
export async function call<T = Record<string, unknown>>(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const init: RequestInit = { method, headers: { 'content-type': 'application/json', ...headers } }
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(url, init)
  const text = await response.text()
  const answer = (text === '' ? undefined : JSON.parse(text)) as T
  noteSecrets({ url, headers, body, answer })
  return { status: response.status, headers: response.headers, body: answer }
}

export async function openRoom(
  url: string,
  body: Record<string, unknown> = { name: 'Test kitchen' },
): Promise<OpenRoom> {
  const { status, body: opened } = await call<OpenRoom>('POST', `${url}/rooms`, body)
  if (status !== 201) throw new Error(`POST /rooms answered ${status}: ${JSON.stringify(opened)}`)
  return opened
}

export interface Joined {
  participant: Participant
  roomId: string
  token: string
}

export async function join(url: string, code: string, body: Partial<JoinBody> = {}): Promise<Joined> {
  const entry = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1', ...body }
  const { status, body: joined } = await call<Joined>('POST', `${url}/rooms/${code}/join`, entry)
  if (status !== 201) throw new Error(`join answered ${status}: ${JSON.stringify(joined)}`)
  return joined
}
