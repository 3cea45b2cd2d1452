import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import { send } from '../support/chat.ts'
import { type Answerer, answerPlain, answerStream, chunkOf, startStream } from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

type Complete = EventData<'llm:complete'>

const PLAIN = { model: '*', messages: [{ role: 'user', content: 'hi' }] }
const STREAMED = { ...PLAIN, stream: true }

/** What `llm:complete` tells of one answer. */
async function metricsOf(t: Test, answerer: Answerer, body: object = STREAMED): Promise<Complete['metrics']> {
  const { chatUrl, eventsUrl } = await openKitchen(t, answerer)
  const events = await readEvents(t, eventsUrl)
  await send(t, chatUrl, body)
  return ((await events.next('llm:complete')).data as Complete).metrics
}

const SEVEN_AND_THREE = { inputTokens: 7, outputTokens: 3, totalTokens: 10, estimated: false }

/** A stream of these frames, in these pieces. */
function streamOf(...pieces: string[]): Answerer {
  return async (_request, response) => {
    startStream(response)
    for (const piece of pieces) {
      await new Promise((resolve) => response.write(piece, resolve))
    }
    response.end('data: [DONE]\n\n')
  }
}

const jsonOf = (body: string): Answerer => {
  return (_request, response) => void response.setHeader('content-type', 'application/json').end(body)
}

t.test('usage is read from a plain answer', async (t) => {
  t.match(await metricsOf(t, answerPlain('Hello'), PLAIN), SEVEN_AND_THREE)
})

t.test('usage is read from the usage chunk of a stream', async (t) => {
  t.match(await metricsOf(t, answerStream(['Hello', ' world'])), SEVEN_AND_THREE)
})

const USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}'
const TIMINGS = '"timings":{"cache_n":4,"prompt_n":3,"prompt_ms":1.5,"predicted_n":3,"predicted_ms":2.5}'

t.test('usage is found where it is split over two pieces', async (t) => {
  const frame = `data: {"choices":[],${USAGE}}\n\n`
  for (const at of [10, 25, 40, frame.length - 2]) {
    t.match(await metricsOf(t, streamOf(chunkOf('Hi'), frame.slice(0, at), frame.slice(at))), SEVEN_AND_THREE)
  }
})

t.test('the last usage counts where each chunk tells one', async (t) => {
  const growing = [1, 2, 3].map((n) => `data: {"usage":{"prompt_tokens":7,"completion_tokens":${n}},"choices":[]}\n\n`)
  t.match(await metricsOf(t, streamOf(...growing)), SEVEN_AND_THREE)
})

t.test('a null usage on the chunks before and behind it is none', async (t) => {
  const none = 'data: {"choices":[],"usage":null}\n\n'
  t.match(await metricsOf(t, streamOf(none, `data: {"choices":[],${USAGE}}\n\n`, none)), SEVEN_AND_THREE)
})

t.test('usage with details and spaces is read', async (t) => {
  const usage = `"usage" : { "prompt_tokens": 7, "prompt_tokens_details": { "cached_tokens": 4 }, "completion_tokens": 3 }`
  t.match(await metricsOf(t, jsonOf(`{"choices":[], ${usage}\n}`), PLAIN), SEVEN_AND_THREE)
})

t.test("llama.cpp's timings count where there is no usage, cached tokens included", async (t) => {
  t.match(await metricsOf(t, streamOf(chunkOf('Hi'), `data: {"choices":[],${TIMINGS}}\n\n`)), SEVEN_AND_THREE)
})

t.test('usage comes before timings', async (t) => {
  const both = `data: {"choices":[],${USAGE},"timings":{"prompt_n":99,"predicted_n":99}}\n\n`
  t.match(await metricsOf(t, streamOf(both)), SEVEN_AND_THREE)
})

t.test('an answer that talks about usage is not believed', async (t) => {
  const lie = '"usage":{"prompt_tokens":999,"completion_tokens":999}'
  t.match(await metricsOf(t, answerPlain(lie), PLAIN), SEVEN_AND_THREE)
  const { estimated } = await metricsOf(t, answerStream([lie], { usage: false }))
  t.ok(estimated)
})

t.test('usage that can count nothing is not believed', async (t) => {
  for (const usage of ['{"prompt_tokens":-7,"completion_tokens":3}', '{"prompt_tokens":"7"}', '{}', '[]', '{"prompt']) {
    const metrics = await metricsOf(t, jsonOf(`{"choices":[],"usage":${usage}}`), PLAIN)
    t.ok(metrics.estimated, usage)
    t.ok(metrics.inputTokens >= 0 && metrics.outputTokens >= 0)
  }
})

t.test('a stream that tells no usage is estimated by its frames', async (t) => {
  const metrics = await metricsOf(t, answerStream(Array(50).fill('word '), { usage: false }))
  t.ok(metrics.estimated)
  t.ok(metrics.outputTokens >= 45 && metrics.outputTokens <= 55, `${metrics.outputTokens} tokens for 50 words`)
  t.ok(metrics.inputTokens > 0)
})

t.test('a plain answer that tells no usage is estimated by its size', async (t) => {
  const { estimated, outputTokens } = await metricsOf(t, jsonOf(`{"content":"${'word '.repeat(400)}"}`), PLAIN)
  t.ok(estimated)
  t.ok(outputTokens >= 250 && outputTokens <= 1000, `${outputTokens} tokens for 400 words`)
})

t.test('an empty answer has metrics that are numbers', async (t) => {
  const metrics = await metricsOf(t, (_request, response) => void response.end(), PLAIN)
  for (const [name, value] of Object.entries(metrics)) {
    if (name !== 'estimated') t.ok(Number.isFinite(value) && Number(value) >= 0, `${name}: ${value}`)
  }
})

t.test('times and sums fit together', async (t) => {
  const metrics = await metricsOf(t, answerStream(['Hello', ' world'], { pauseMs: 5 }))
  t.ok(metrics.ttftMs > 0 && metrics.ttftMs <= metrics.durationMs)
  t.equal(metrics.totalTokens, metrics.inputTokens + metrics.outputTokens)
  t.ok(metrics.tokensPerSecond > 0)
})

t.test('a very long stream is metered by its end', async (t) => {
  const frames = Array.from({ length: 200 }, () => chunkOf('word '.repeat(100)))
  t.match(await metricsOf(t, streamOf(...frames, `data: {"choices":[],${USAGE}}\n\n`)), SEVEN_AND_THREE)
})
