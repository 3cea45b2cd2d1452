import type { Test } from 'tap'
import { answerByHand, type Order } from './by-hand.ts'
import { within } from './chat.ts'
import type { Answerer } from './fake-llm.ts'
import { type Kitchen, type KitchenOptions, openKitchen } from './kitchen.ts'
import { noteSecrets } from './secret-log.ts'

/** What people ask in these tests. No log may hold it. */
export const QUESTION = 'What is for dinner?'

export const MESSAGES = [{ role: 'user' as const, content: QUESTION }]

/** The name under which Alice's model is on offer, and the one that her server knows it by. */
export const MODEL = 'llama3.2'
export const REAL_MODEL = 'llama3.2:latest'

export interface ClientKitchen extends Kitchen {
  /** The room's own URL, without a protocol's path. */
  room: string
}

/** A kitchen whose model has another name for the client than for the participant: the hub must replace it. */
export async function openClientKitchen(
  t: Test,
  answerer?: Answerer,
  { participant = {}, ...options }: KitchenOptions = {},
): Promise<ClientKitchen> {
  const cook = { participant: { model: REAL_MODEL, ...participant } }
  const kitchen = await openKitchen(t, answerer, { ...options, ...cook })
  noteSecrets({ url: kitchen.url, headers: {}, body: { content: QUESTION }, answer: undefined })
  return { ...kitchen, room: `${kitchen.url}/rooms/${kitchen.code}` }
}

/** The same where the test writes each answer by hand. */
export async function openKitchenByHand(t: Test): Promise<ClientKitchen & { next(): Promise<Order> }> {
  const { answerer, next } = answerByHand()
  return { ...(await openClientKitchen(t, answerer)), next }
}

export const PASSWORD = 'correct horse'

/** A room that nobody may use without its password. */
export const LOCKED: KitchenOptions = { room: { password: PASSWORD }, participant: { password: PASSWORD } }

type Class<E> = abstract new (...words: never[]) => E

/** What a call failed with. It must fail, and with that class of error. */
export async function failureOf<E extends Error>(call: PromiseLike<unknown>, type: Class<E>): Promise<E> {
  const failure = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(failure instanceof type)) throw new Error(`it should have failed with ${type.name}`, { cause: failure })
  return failure
}

/** The participant sees its socket closed before its answer has ended. Slow machines get their time. */
export async function isLeft(t: Test, { request }: Order): Promise<void> {
  await within(request.closed, 10_000, 'the participant sees its socket closed')
  t.ok(request.aborted, 'the hub went away from the participant')
}

/** All that a stream has, and what ended it where that was no proper end. */
export async function readStream<T>(stream: AsyncIterable<T>): Promise<{ parts: T[]; error?: unknown }> {
  const parts: T[] = []
  try {
    for await (const part of stream) parts.push(part)
    return { parts }
  } catch (error) {
    return { parts, error }
  }
}

/** Reads up to the first part that is meant, and leaves. */
export async function leaveAt<T>(stream: AsyncIterable<T>, isMeant: (part: T) => boolean = () => true): Promise<T> {
  for await (const part of stream) if (isMeant(part)) return part
  throw new Error('the stream ended before that')
}
