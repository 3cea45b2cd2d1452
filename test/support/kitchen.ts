import type { Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import type { HubOptions } from '../../src/hub.ts'
import { type Answerer, answerPlain, type FakeLlm, startFakeLlm } from './fake-llm.ts'
import { join, openRoom, type RunningHub, startHub } from './hub.ts'

export interface KitchenOptions {
  hub?: HubOptions
  room?: Record<string, unknown>
  participant?: Partial<JoinBody>
}

export interface Kitchen extends RunningHub {
  code: string
  chatUrl: string
  eventsUrl: string
  llm: FakeLlm
}

/** A hub with one room in which one participant, Alice, cooks `llama3.2:3b` with a fake LLM server. */
export async function openKitchen(
  t: Test,
  answerer: Answerer = answerPlain('Hello'),
  { hub: hubOptions = {}, room: roomBody = {}, participant = {} }: KitchenOptions = {},
): Promise<Kitchen> {
  const llm = await startFakeLlm(t, answerer)
  return { ...(await openRoomFor(t, llm.url, { hub: hubOptions, room: roomBody, participant })), llm }
}

/** The same before any LLM server, named by its endpoint. */
export async function openRoomFor(
  t: Test,
  endpoint: string,
  { hub: hubOptions = {}, room: roomBody = {}, participant = {} }: KitchenOptions = {},
): Promise<Omit<Kitchen, 'llm'>> {
  const { hub, url } = await startHub(t, hubOptions)
  const { room } = await openRoom(url, { name: 'Test kitchen', ...roomBody })
  await join(url, room.code, { endpoint, ...participant })
  const base = `${url}/rooms/${room.code}`
  return { hub, url, code: room.code, chatUrl: `${base}/v1/chat/completions`, eventsUrl: `${base}/events` }
}
