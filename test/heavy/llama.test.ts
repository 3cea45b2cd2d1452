import { once } from 'node:events'
import OpenAI, { APIError, APIUserAbortError } from 'openai'
import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import { within } from '../support/chat.ts'
import { type Kitchen, openRoomFor } from '../support/kitchen.ts'
import { idle, type Llama, startLlama, startRelay } from '../support/llama.ts'
import { type EventReader, readEvents } from '../support/sse.ts'

const { LLAMA_DIR } = process.env
const WHY_NOT = 'LLAMA_DIR is not set: run `bash test/llm/llama-server.sh install DIR`, then set it to DIR'
if (LLAMA_DIR === undefined)
  process.stderr.write(`\n!!! the tests with a real llama.cpp server are SKIPPED: ${WHY_NOT}\n\n`)

/** Some seconds of work for the model, so that a client can leave in the midst of it. */
const MANY_TOKENS = 1800
const BOUND_MS = 10_000

const messages = [{ role: 'user' as const, content: 'What is for dinner?' }]
const PLAIN = { model: 'potluck-test', messages, seed: 1 }

/** llama.cpp goes on to exactly as many tokens as it may. */
const tokens = (count: number) => ({ max_tokens: count, ignore_eos: true })

interface Served extends Omit<Kitchen, 'llm'> {
  llama: Llama
  openai: OpenAI
  events: EventReader
}

async function serve(t: Test, llama: Llama, endpoint = llama.url): Promise<Served> {
  const kitchen = await openRoomFor(t, endpoint, { participant: { model: 'potluck-test' } })
  const openai = new OpenAI({ baseURL: `${kitchen.url}/rooms/${kitchen.code}/v1`, apiKey: 'unused', maxRetries: 0 })
  return { ...kitchen, llama, openai, events: await readEvents(t, kitchen.eventsUrl) }
}

async function metricsOf({ events }: Served): Promise<EventData<'llm:complete'>['metrics']> {
  return ((await events.next('llm:complete')).data as EventData<'llm:complete'>).metrics
}

t.test('a real llama.cpp server', { skip: LLAMA_DIR === undefined ? WHY_NOT : false }, async (t) => {
  const llama = await startLlama(t, LLAMA_DIR ?? '')

  t.test('answers a plain request, and its usage is told', async (t) => {
    const served = await serve(t, llama)
    const { choices, usage } = await served.openai.chat.completions.create({ ...PLAIN, ...tokens(20) })
    t.ok(choices[0]?.message.content)
    t.equal(usage?.completion_tokens, 20)
    t.match(await metricsOf(served), { inputTokens: usage?.prompt_tokens, outputTokens: 20, estimated: false })
  })

  for (const include_usage of [true, false]) {
    t.test(`streams, and its usage is told (include_usage: ${include_usage})`, async (t) => {
      const served = await serve(t, llama)
      const request = { ...PLAIN, ...tokens(20), stream: true as const, stream_options: { include_usage } }
      let said = ''
      for await (const chunk of await served.openai.chat.completions.create(request)) {
        said += chunk.choices[0]?.delta.content ?? ''
      }
      t.ok(said.length > 0)
      const metrics = await metricsOf(served)
      t.match(metrics, { outputTokens: 20, estimated: false })
      t.ok(metrics.inputTokens > 0)
    })
  }

  t.test('says the same streamed and plain', async (t) => {
    const { openai } = await serve(t, llama)
    const request = { ...PLAIN, ...tokens(40), cache_prompt: false }
    const whole = await openai.chat.completions.create(request)
    let said = ''
    for await (const chunk of await openai.chat.completions.create({ ...request, stream: true })) {
      said += chunk.choices[0]?.delta.content ?? ''
    }
    t.equal(said, whole.choices[0]?.message.content)
  })

  t.test('is left by a client in the midst of a stream: its slot is free again', async (t) => {
    const { openai, events } = await serve(t, llama)
    const stream = await openai.chat.completions.create({ ...PLAIN, ...tokens(MANY_TOKENS), stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    await events.next('llm:cancelled')
    const most = await within(idle(llama), BOUND_MS, 'free slots')
    t.ok(most < MANY_TOKENS / 2, `it stopped in the midst, seen at ${most} of ${MANY_TOKENS} tokens`)
  })

  t.test("is left by a client of a plain request: the hub's socket is closed", async (t) => {
    const relay = await startRelay(t, llama.url)
    const { openai, events } = await serve(t, llama, relay.url)
    const abort = new AbortController()
    const asked = relay.asked()
    const coming = openai.chat.completions.create({ ...PLAIN, ...tokens(MANY_TOKENS) }, { signal: abort.signal })
    const rejected = coming.catch((reason: unknown) => reason)
    const closed = once(await asked, 'close')
    abort.abort()
    t.type(await rejected, APIUserAbortError)
    await within(closed, BOUND_MS, 'the end of the socket')
    await events.next('llm:cancelled')
    t.equal(relay.sockets.size, 0)
  })

  for (const stream of [false, true]) {
    t.test(`refuses a prompt that is too long in its own words (stream: ${stream})`, async (t) => {
      const { openai, events } = await serve(t, llama)
      const long = [{ role: 'user' as const, content: 'soup and salad '.repeat(3000) }]
      const error = await openai.chat.completions.create({ ...PLAIN, messages: long, stream }).catch((reason) => reason)
      if (!(error instanceof APIError)) throw new Error('it should have been refused')
      t.equal(error.status, 400)
      t.equal(error.type, 'exceed_context_size_error')
      t.match((await events.next('llm:error')).data, { stage: 'answer', error: /400/ })
    })
  }
})
