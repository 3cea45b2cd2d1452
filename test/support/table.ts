import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import type { HubOptions } from '../../src/hub.ts'
import { answerByHand, type ByHand } from './by-hand.ts'
import { type Body, post, type WholeAnswer, within } from './chat.ts'
import { type Answerer, type FakeLlm, type SeenRequest, startFakeLlm } from './fake-llm.ts'
import { call, type Joined, join, openRoom, type RunningHub, startHub } from './hub.ts'
import { type EventReader, type Frame, readEvents } from './sse.ts'

export const MODEL = 'llama3.2:3b'

export interface TableOptions {
  hub?: HubOptions
  room?: Record<string, unknown>
  /** Of every participant. */
  join?: Partial<JoinBody>
}

export interface Table extends RunningHub {
  /** URL of the room. */
  base: string
  code: string
  hostToken: string
  chatUrl: string
  events: EventReader
  /** By the participant's id. */
  llms: Record<string, FakeLlm>
  joined: Record<string, Joined>
}

/**
 * A room with participants that offer the same model, each with one slot.
 * @param cooks an LLM server of its own for each, or where it is
 */
export async function setTable(
  t: Test,
  cooks: Record<string, Answerer | string>,
  { hub = {}, room: asked = {}, join: entry = {} }: TableOptions = {},
): Promise<Table> {
  const running = await startHub(t, { maxAttempts: 3, ...hub })
  const { room, hostToken } = await openRoom(running.url, { name: 'Test kitchen', ...asked })
  const base = `${running.url}/rooms/${room.code}`
  const llms: Record<string, FakeLlm> = {}
  const joined: Record<string, Joined> = {}
  for (const [id, cook] of Object.entries(cooks)) {
    let endpoint = cook
    if (typeof endpoint !== 'string') {
      const llm = await startFakeLlm(t, endpoint)
      llms[id] = llm
      endpoint = llm.url
    }
    joined[id] = await join(running.url, room.code, { id, nickname: id, endpoint, slots: 1, ...entry })
  }
  const events = await readEvents(t, `${base}/events`)
  await events.next('connected')
  return { ...running, base, code: room.code, hostToken, chatUrl: `${base}/v1/chat/completions`, events, llms, joined }
}

export interface HeldTable extends Table {
  hands: Record<string, ByHand>
}

/** The same where the test writes each answer by hand. */
export async function setTableByHand(t: Test, ids: readonly string[], options: TableOptions = {}): Promise<HeldTable> {
  const hands = Object.fromEntries(ids.map((id) => [id, answerByHand()]))
  const answerers = Object.fromEntries(ids.map((id) => [id, (hands[id] as ByHand).answerer]))
  return { ...(await setTable(t, answerers, options)), hands }
}

export interface Asked {
  request: ClientRequest
  /** Resolves with the headers of the answer. */
  response: Promise<IncomingMessage>
  answer: Promise<WholeAnswer>
  /** What has come so far. */
  text(): string
  /** Resolves once what has come contains it. */
  until(part: string): Promise<void>
  leave(): void
}

/** Sends a request and does not wait for the answer: there may be none for long. */
export function ask(t: Test, url: string, body: Body, headers: Record<string, string> = {}): Asked {
  const outgoing = post(url, body, headers)
  t.teardown(() => outgoing.destroy())
  const response = once(outgoing, 'response').then(([incoming]) => incoming as IncomingMessage)
  outgoing.on('error', () => {})
  let text = ''
  const answer = response.then(async (incoming): Promise<WholeAnswer> => {
    incoming.on('error', () => {})
    incoming.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await new Promise((resolve) => incoming.once('close', resolve))
    const { statusCode: status = 0, statusMessage = '', complete } = incoming
    return { status, statusMessage, headers: incoming.headers, body: Buffer.from(text), text, complete }
  })
  response.catch(() => {})
  answer.catch(() => {})
  const until = async (part: string) => {
    const incoming = await response
    while (!text.includes(part)) {
      if (incoming.closed) throw new Error(`the answer ended without ${part}: ${text}`)
      await Promise.race([new Promise((resolve) => incoming.once('data', resolve)), answer])
    }
  }
  return { request: outgoing, response, answer, text: () => text, until, leave: () => outgoing.destroy() }
}

/** The frames so far, in their order. */
export function framesOf({ frames }: EventReader, event: string): Record<string, unknown>[] {
  return frames.filter((frame: Frame) => frame.event === event).map(({ data }) => data as Record<string, unknown>)
}

/** Whom each attempt so far went to. */
export function attemptsOf({ events }: Pick<Table, 'events'>): unknown[] {
  return framesOf(events, 'llm:request').map(({ participantId }) => participantId)
}

/** So many of them, one after the other. */
export async function take(events: EventReader, event: string, count: number): Promise<Record<string, unknown>[]> {
  const taken: Record<string, unknown>[] = []
  while (taken.length < count) taken.push((await events.next(event)).data as Record<string, unknown>)
  return taken
}

/** What a request asked for, as the LLM server saw it. */
export function wordsOf({ body }: SeenRequest): string {
  const { messages } = JSON.parse(body.toString()) as { messages: { content: string }[] }
  return messages[0]?.content ?? ''
}

export function chat(content: string, more: object = {}): object {
  return { model: MODEL, messages: [{ role: 'user', content }], ...more }
}

/** Nobody listens there, and no other test can by chance: the system gives such ports to nobody. */
export const DEAD_URL = 'http://127.0.0.1:2'

export interface LookedAt {
  status: string
  slots?: number
  passedOver: Record<string, number>
}

export async function lookAt({ base }: Pick<Table, 'base'>, id: string): Promise<LookedAt> {
  const { body } = await call<{ participant: Omit<LookedAt, 'passedOver'>; passedOver: LookedAt['passedOver'] }>(
    'GET',
    `${base}/participants/${id}`,
  )
  return { ...body.participant, passedOver: body.passedOver }
}

/** Long enough for any machine: what does not come within that does not come. */
export const soon = <T>(promise: Promise<T>, what: string): Promise<T> => within(promise, 20_000, what)
