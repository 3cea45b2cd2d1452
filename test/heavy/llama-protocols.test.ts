import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import { within } from '../support/chat.ts'
import { failureOf, QUESTION } from '../support/clients.ts'
import { type Kitchen, openRoomFor } from '../support/kitchen.ts'
import { idle, type Llama, startLlama } from '../support/llama.ts'
import { type EventReader, readEvents } from '../support/sse.ts'

const { LLAMA_DIR } = process.env
const WHY_NOT = 'LLAMA_DIR is not set: run `bash test/llm/llama-server.sh install DIR`, then set it to DIR'
if (LLAMA_DIR === undefined)
  process.stderr.write(`\n!!! the protocols of a real llama.cpp server are SKIPPED: ${WHY_NOT}\n\n`)

/** Some seconds of work for the model, so that a client can leave in the midst of it. */
const MANY_TOKENS = 1800
const BOUND_MS = 10_000

const MODEL = 'potluck-test'
const MESSAGES = [{ role: 'user' as const, content: QUESTION }]

/** With it this model goes on to exactly as many tokens as it may; llama.cpp's `ignore_eos` is not in all protocols. */
const ON = { temperature: 0 }

interface Served extends Omit<Kitchen, 'llm'> {
  openai: OpenAI
  anthropic: Anthropic
  events: EventReader
}

async function serve(t: Test, llama: Llama): Promise<Served> {
  const kitchen = await openRoomFor(t, llama.url, { participant: { model: MODEL } })
  const room = `${kitchen.url}/rooms/${kitchen.code}`
  const openai = new OpenAI({ baseURL: `${room}/v1`, apiKey: 'unused', maxRetries: 0 })
  const anthropic = new Anthropic({ baseURL: room, apiKey: 'unused', authToken: null, maxRetries: 0 })
  return { ...kitchen, openai, anthropic, events: await readEvents(t, kitchen.eventsUrl) }
}

type Complete = EventData<'llm:complete'>

/** What the room was told must be what the server itself has counted. */
async function holdUsage(t: Test, { events }: Served, protocol: string, metrics: Partial<Complete['metrics']>) {
  const told = (await events.next('llm:complete')).data as Complete
  t.equal(told.protocol, protocol)
  t.match(told.metrics, { ...metrics, estimated: false })
  t.ok(told.metrics.inputTokens > 0)
}

t.test('a real llama.cpp server', { skip: LLAMA_DIR === undefined ? WHY_NOT : false }, async (t) => {
  const llama = await startLlama(t, LLAMA_DIR ?? '', '--embeddings', '--pooling', 'mean')

  t.test('completes a text, and its usage is told', async (t) => {
    const served = await serve(t, llama)
    const request = { model: MODEL, prompt: QUESTION, max_tokens: 20, ...ON }
    const { choices, usage } = await served.openai.completions.create(request)
    t.ok(choices[0]?.text)
    t.equal(usage?.completion_tokens, 20)
    await holdUsage(t, served, 'openai-completions', { inputTokens: usage?.prompt_tokens ?? -1, outputTokens: 20 })
  })

  for (const include_usage of [true, false]) {
    t.test(`streams a text, and its usage is told (include_usage: ${include_usage})`, async (t) => {
      const served = await serve(t, llama)
      const request = { model: MODEL, prompt: QUESTION, max_tokens: 20, stream_options: { include_usage }, ...ON }
      let said = ''
      for await (const { choices } of await served.openai.completions.create({ ...request, stream: true }))
        said += choices[0]?.text ?? ''
      t.ok(said)
      await holdUsage(t, served, 'openai-completions', { outputTokens: 20 })
    })
  }

  for (const encoding_format of [undefined, 'float'] as const) {
    t.test(`makes vectors, and their usage is told (${encoding_format ?? 'base64'})`, async (t) => {
      const served = await serve(t, llama)
      const input = ['rice with beans', 'noodles with a little more of everything']
      const asked = { model: MODEL, input, ...(encoding_format === undefined ? {} : { encoding_format }) }
      const { data, usage } = await served.openai.embeddings.create(asked)
      t.strictSame(
        data.map(({ index }) => index),
        [0, 1],
      )
      t.ok(data.every(({ embedding }) => embedding.length > 32 && embedding.every(Number.isFinite)))
      t.notSame(data[0]?.embedding, data[1]?.embedding)
      await holdUsage(t, served, 'openai-embeddings', { inputTokens: usage.prompt_tokens, outputTokens: 0 })
    })
  }

  t.test('answers by the Responses API, and its usage is told', async (t) => {
    const served = await serve(t, llama)
    const request = { model: MODEL, input: QUESTION, max_output_tokens: 20, ...ON }
    const { output_text, usage } = await served.openai.responses.create(request)
    t.ok(output_text)
    t.equal(usage?.output_tokens, 20)
    await holdUsage(t, served, 'openai-responses', { inputTokens: usage?.input_tokens ?? -1, outputTokens: 20 })
  })

  t.test('streams by the Responses API, and its usage is told', async (t) => {
    const served = await serve(t, llama)
    const request = { model: MODEL, input: QUESTION, max_output_tokens: 20, ...ON }
    let said = ''
    let last: OpenAI.Responses.ResponseStreamEvent | undefined
    for await (const event of await served.openai.responses.create({ ...request, stream: true })) {
      if (event.type === 'response.output_text.delta') said += event.delta
      last = event
    }
    t.ok(said)
    if (last?.type !== 'response.completed') throw new Error(`the last event should not be ${last?.type}`)
    t.equal(last.response.usage?.output_tokens, 20)
    const inputTokens = last.response.usage?.input_tokens ?? -1
    await holdUsage(t, served, 'openai-responses', { inputTokens, outputTokens: 20 })
  })

  const ASKED = { model: MODEL, messages: MESSAGES, max_tokens: 20, ...ON }

  t.test("answers by Anthropic's API, and its usage is told", async (t) => {
    const served = await serve(t, llama)
    const { content, usage } = await served.anthropic.messages.create(ASKED)
    t.ok(content[0]?.type === 'text' && content[0].text)
    t.equal(usage.output_tokens, 20)
    // What llama.cpp has in its cache it counts apart, as Anthropic does.
    const inputTokens = usage.input_tokens + (usage.cache_read_input_tokens ?? 0)
    await holdUsage(t, served, 'anthropic-messages', { inputTokens, outputTokens: 20 })
  })

  t.test("streams by Anthropic's API, and its usage is told", async (t) => {
    const served = await serve(t, llama)
    const stream = served.anthropic.messages.stream(ASKED)
    const said: string[] = []
    stream.on('text', (text) => void said.push(text))
    const { content, usage } = await stream.finalMessage()
    t.ok(said.join(''))
    t.match(content, [{ type: 'text', text: said.join('') }])
    t.equal(usage.output_tokens, 20)
    const inputTokens = usage.input_tokens + (usage.cache_read_input_tokens ?? 0)
    await holdUsage(t, served, 'anthropic-messages', { inputTokens, outputTokens: 20 })
  })

  t.test('counts tokens, as many as it then reads, and the room is told nothing of it', async (t) => {
    const served = await serve(t, llama)
    const { input_tokens } = await served.anthropic.messages.countTokens({ model: MODEL, messages: MESSAGES })
    t.ok(input_tokens > 0)
    await served.anthropic.messages.create(ASKED)
    await holdUsage(t, served, 'anthropic-messages', { inputTokens: input_tokens })
    const told = served.events.frames.flatMap(({ event }) => (event?.startsWith('llm:') === true ? [event] : []))
    t.strictSame(told, ['llm:request', 'llm:complete'], 'of the second request alone')
  })

  t.test('is left by a client in the midst of a stream of each protocol: its slot is free again', async (t) => {
    const { openai, anthropic, events } = await serve(t, llama)
    const much = { ...ON, stream: true as const }
    const streams = [
      () => openai.completions.create({ model: MODEL, prompt: QUESTION, max_tokens: MANY_TOKENS, ...much }),
      () => openai.responses.create({ model: MODEL, input: QUESTION, max_output_tokens: MANY_TOKENS, ...much }),
      () => anthropic.messages.create({ ...ASKED, max_tokens: MANY_TOKENS, ...much }),
    ]
    for (const ask of streams) {
      const parts: AsyncIterable<object> = await ask()
      for await (const _ of parts) break
      await events.next('llm:cancelled')
      const most = await within(idle(llama), BOUND_MS, 'free slots')
      t.ok(most < MANY_TOKENS / 2, `it stopped in the midst, seen at ${most} of ${MANY_TOKENS} tokens`)
    }
  })

  t.test('refuses a prompt that is too long in its own words, in each protocol', async (t) => {
    const { openai, anthropic } = await serve(t, llama)
    const long = 'soup and salad '.repeat(3000)
    const messages = [{ role: 'user' as const, content: long }]
    const refused = { status: 400, message: /context/ }
    const text = openai.completions.create({ model: MODEL, prompt: long })
    t.match(await failureOf(text, OpenAI.BadRequestError), refused)
    const response = openai.responses.create({ model: MODEL, input: long })
    t.match(await failureOf(response, OpenAI.BadRequestError), refused)
    const message = anthropic.messages.create({ model: MODEL, max_tokens: 5, messages })
    t.match(await failureOf(message, Anthropic.BadRequestError), refused)
  })
})
