import Anthropic from '@anthropic-ai/sdk'
import t, { type Test } from 'tap'
import { answerMessage, textBlock } from '../support/anthropic-answers.ts'
import { failureOf, LOCKED, MESSAGES, MODEL, openClientKitchen, PASSWORD, readStream } from '../support/clients.ts'
import { openRoom } from '../support/hub.ts'
import type { KitchenOptions } from '../support/kitchen.ts'

const ASKED = { model: MODEL, max_tokens: 100, messages: MESSAGES }

/** The client's two ways to show who it is: `x-api-key`, and a bearer token. */
const WAYS = {
  apiKey: (apiKey: string) => ({ apiKey, authToken: null }),
  authToken: (authToken: string) => ({ apiKey: null, authToken }),
}

async function openRooms(t: Test, options: KitchenOptions = {}) {
  const kitchen = await openClientKitchen(t, answerMessage(['So', 'up']), options)
  // A second room, so that at the root the key must name one.
  await openRoom(kitchen.url)
  return kitchen
}

for (const [name, shown] of Object.entries(WAYS)) {
  const clientOf = (baseURL: string, key: string) => new Anthropic({ baseURL, ...shown(key), maxRetries: 0 })

  t.test(`${name}: the password opens a locked room`, async (t) => {
    const { room, llm } = await openRooms(t, LOCKED)
    t.strictSame((await clientOf(room, PASSWORD).messages.create(ASKED)).content, [textBlock('Soup')])
    t.equal(llm.requests.length, 1)
    t.notOk(JSON.stringify(llm.requests[0]!.headers).includes(PASSWORD), 'the password stays in the hub')
  })

  t.test(`${name}: a wrong password is an AuthenticationError, plain, streamed and counted`, async (t) => {
    const { room, llm } = await openRooms(t, LOCKED)
    const { messages } = clientOf(room, 'wrong horse')
    const { max_tokens, ...request } = ASKED
    for (const call of [
      () => messages.create(ASKED),
      () => messages.create({ ...ASKED, stream: true }),
      () => messages.stream(ASKED).finalMessage(),
      () => messages.countTokens(request),
    ]) {
      const failure = await failureOf(call(), Anthropic.AuthenticationError)
      t.match(failure, { status: 401, type: 'authentication_error', message: /Invalid password/ })
    }
    t.equal(llm.requests.length, 0)
  })

  t.test(`${name}: at the root the code is the key`, async (t) => {
    const { url, code, llm } = await openRooms(t)
    t.strictSame((await clientOf(url, code).messages.create(ASKED)).content, [textBlock('Soup')])
    const stream = await clientOf(url, code).messages.create({ ...ASKED, stream: true })
    const { parts, error } = await readStream(stream)
    t.equal(error, undefined)
    t.equal(parts.at(-1)?.type, 'message_stop')
    t.notOk(JSON.stringify(llm.requests[0]!.headers).includes(code), 'the key stays in the hub')
  })

  t.test(`${name}: at the root of a locked room the key is CODE:password`, async (t) => {
    const { url, code, llm } = await openRooms(t, LOCKED)
    const { content } = await clientOf(url, `${code}:${PASSWORD}`).messages.create(ASKED)
    t.strictSame(content, [textBlock('Soup')])
    for (const key of [code, `${code}:wrong`]) {
      await failureOf(clientOf(url, key).messages.create(ASKED), Anthropic.AuthenticationError)
    }
    t.equal(llm.requests.length, 1)
  })

  t.test(`${name}: at the root a key that names no room is told how to name one`, async (t) => {
    const { url, llm } = await openRooms(t)
    const failure = await failureOf(clientOf(url, 'none').messages.create(ASKED), Anthropic.APIError)
    t.match(failure.message, /room/i)
    t.ok(failure.status! >= 400 && failure.status! < 500)
    t.equal(llm.requests.length, 0)
  })
}
