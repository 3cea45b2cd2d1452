import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import type { Performance } from '../../schemas/participant.ts'
import { open, send, type WholeAnswer } from '../support/chat.ts'
import {
  answerCut,
  answerFrames,
  answerJson,
  DONE,
  dataFrame,
  EVENTS,
  eventFrame,
  LINES,
  line,
} from '../support/client-answers.ts'
import type { Answerer } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'
import { EMBEDDINGS, OLLAMA_EMBED, type PlainAnswer, RANKING, TALK, TRANSCRIPTION } from '../support/real-answers.ts'
import { answerAs, SPOKEN, type Spoken } from '../support/spoken.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

type Complete = EventData<'llm:complete'>

interface Metered {
  answer: WholeAnswer
  complete: Complete
}

interface Meters extends Kitchen {
  /** Has this answered, and waits for what the events tell of it. */
  meter(path: string, body: object | string, answerer: Answerer): Promise<Metered>
}

async function openMeters(t: Test): Promise<Meters> {
  const kitchen = await openKitchen(t)
  const events = await readEvents(t, kitchen.eventsUrl)
  const meter: Meters['meter'] = async (path, body, answerer) => {
    kitchen.llm.answer(answerer)
    const answer = await send(t, `${kitchen.url}/rooms/${kitchen.code}${path}`, body)
    return { answer, complete: (await events.next('llm:complete')).data as Complete }
  }
  return { ...kitchen, meter }
}

/** All that was told of it fits together. */
function fitsTogether(t: Test, { answer, complete }: Metered, what: string): void {
  const { metrics } = complete
  t.equal(metrics.totalTokens, metrics.inputTokens + metrics.outputTokens, what)
  t.equal(answer.headers['x-potluck-ttft-ms'], String(metrics.ttftMs), what)
  t.ok(metrics.ttftMs >= 0 && metrics.ttftMs <= metrics.durationMs, what)
  t.ok(metrics.tokensPerSecond >= 0, what)
  t.equal(answer.headers['x-potluck-request-id'], complete.requestId, what)
}

const tokensIn = ({ headers }: WholeAnswer) => [headers['x-potluck-input-tokens'], headers['x-potluck-output-tokens']]

t.test('the usage that a plain answer tells is in its event and in its headers', async (t) => {
  const { meter } = await openMeters(t)
  for (const spoken of SPOKEN) {
    for (const said of ['Soy sauce.', TALK]) {
      const metered = await meter(spoken.path, spoken.request, answerAs(spoken, said))
      const { usage, text } = spoken.answers(said).plain
      t.match(metered.complete, { protocol: spoken.protocol, metrics: { ...usage, estimated: false } }, spoken.server)
      fitsTogether(t, metered, spoken.server)
      t.equal(metered.answer.text, text, spoken.server)
      // The whole of a long one is not there at once.
      if (text.length < 8000)
        t.strictSame(tokensIn(metered.answer), [usage.inputTokens, usage.outputTokens].map(String), spoken.server)
    }
  }
})

t.test('the usage that a stream tells is in its event, and comes too late for its headers', async (t) => {
  const { meter } = await openMeters(t)
  for (const spoken of SPOKEN) {
    const { usage, frames } = spoken.answers(TALK).stream
    for (const answerer of [answerAs(spoken, TALK), answerFrames(spoken.type, frames)]) {
      const metered = await meter(spoken.path, { ...spoken.request, ...spoken.streamed }, answerer)
      t.match(metered.complete, { protocol: spoken.protocol, metrics: { ...usage, estimated: false } }, spoken.server)
      fitsTogether(t, metered, spoken.server)
      t.strictSame(tokensIn(metered.answer), [undefined, undefined], spoken.server)
      t.equal(metered.answer.text, frames.join(''), spoken.server)
    }
  }
})

const WORDS = Array.from({ length: 20 }, (_, index) => `word${index} `)

/** Streams of twenty words, of servers that count nothing. */
function silentFrames({ protocol }: Spoken): string[] {
  const event = (type: string, more: object) => eventFrame({ type, ...more })
  const framesOf: Record<string, () => string[]> = {
    'openai-chat': () => [...WORDS.map((content) => dataFrame({ choices: [{ delta: { content } }] })), DONE],
    'openai-completions': () => [...WORDS.map((text) => dataFrame({ choices: [{ text }] })), DONE],
    'openai-responses': () => [
      ...WORDS.map((delta) => event('response.output_text.delta', { delta })),
      event('response.completed', { response: { usage: null } }),
    ],
    'anthropic-messages': () => [
      ...WORDS.map((text) => event('content_block_delta', { delta: { text } })),
      event('message_stop', {}),
    ],
    'ollama-chat': () => [...WORDS.map((content) => line({ message: { content }, done: false })), line({ done: true })],
    'ollama-generate': () => [...WORDS.map((response) => line({ response, done: false })), line({ done: true })],
  }
  return framesOf[protocol]?.() ?? []
}

t.test('where nothing is told, a stream is estimated by its frames and the input by its size', async (t) => {
  const { meter } = await openMeters(t)
  for (const spoken of SPOKEN) {
    const body = JSON.stringify({ ...spoken.request, ...spoken.streamed, user: 'x'.repeat(4000) })
    const { complete } = await meter(spoken.path, body, answerFrames(spoken.type, silentFrames(spoken)))
    const { estimated, inputTokens, outputTokens } = complete.metrics
    t.ok(estimated, spoken.server)
    t.ok(outputTokens >= 20 && outputTokens <= 22, `${spoken.server}: ${outputTokens} for 20 words`)
    t.equal(inputTokens, Math.ceil(body.length / 4), spoken.server)
  }
})

t.test('where nothing is told, a plain answer is estimated by its size, and its headers claim nothing', async (t) => {
  const { meter } = await openMeters(t)
  for (const spoken of SPOKEN) {
    const value = { text: 'word '.repeat(400) }
    const { complete, answer } = await meter(spoken.path, spoken.request, answerJson(value))
    t.match(
      complete.metrics,
      { estimated: true, outputTokens: Math.ceil(JSON.stringify(value).length / 4) },
      spoken.server,
    )
    t.strictSame(tokensIn(answer), [undefined, undefined], spoken.server)
  }
})

const COUNTED: [path: string, protocol: string, answer: PlainAnswer][] = [
  ['/v1/embeddings', 'openai-embeddings', EMBEDDINGS.openai],
  ['/v1/embeddings', 'openai-embeddings', EMBEDDINGS['llama.cpp']],
  ['/v1/rerank', 'rerank', RANKING],
  ['/api/embed', 'ollama-embed', OLLAMA_EMBED],
  ['/v1/audio/transcriptions', 'openai-audio', TRANSCRIPTION],
]

t.test('of what generates no text the input is counted as it is told', async (t) => {
  const { meter } = await openMeters(t)
  for (const [path, protocol, { text, usage }] of COUNTED) {
    const metered = await meter(path, { input: 'rice' }, answerJson(JSON.parse(text) as object))
    t.match(metered.complete, { protocol, metrics: { ...usage, estimated: false } }, path)
    fitsTogether(t, metered, path)
  }
})

t.test('and nothing is made up for its output where nothing is told', async (t) => {
  const { meter } = await openMeters(t)
  const blanks = `{"data":[[${'0.5,\n\n'.repeat(500)}1]]}`
  for (const path of ['/v1/embeddings', '/v1/rerank', '/api/embed', '/api/embeddings', '/v1/images/generations']) {
    const answerer: Answerer = (_request, response) =>
      void response.setHeader('content-type', 'application/json').end(blanks)
    const { complete } = await meter(path, { input: 'rice' }, answerer)
    t.match(complete.metrics, { estimated: true, outputTokens: 0, tokensPerSecond: 0 }, path)
    t.ok(complete.metrics.inputTokens > 0, path)
  }
})

/** The same answer, with its end in a piece of its own, or without a length. */
const PIECES: Record<string, Answerer> = {
  'in two pieces': (_request, response) => {
    const text = SPOKEN[0]!.answers().plain.text
    response
      .writeHead(200, { 'content-type': 'application/json', 'content-length': text.length })
      .write(text.slice(0, -1))
    setTimeout(() => response.end(text.slice(-1)), 50)
  },
  'without a length': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write(SPOKEN[0]!.answers().plain.text)
    setTimeout(() => response.end(), 50)
  },
}

for (const [what, answerer] of Object.entries(PIECES)) {
  t.test(`an answer ${what} has usage in its event alone`, async (t) => {
    const { meter } = await openMeters(t)
    const metered = await meter('/v1/chat/completions', SPOKEN[0]!.request, answerer)
    t.match(metered.complete.metrics, SPOKEN[0]!.answers().plain.usage)
    t.strictSame(tokensIn(metered.answer), [undefined, undefined])
    fitsTogether(t, metered, what)
  })
}

t.test('a refusal has no tokens, whatever it says', async (t) => {
  const { chatUrl, llm, eventsUrl, url } = await openKitchen(t)
  const events = await readEvents(t, eventsUrl)
  const { text } = SPOKEN[0]!.answers().plain
  llm.answer(answerJson(JSON.parse(text) as object, 429))
  const answer = await send(t, chatUrl, {})
  t.strictSame([answer.status, ...tokensIn(answer)], [429, undefined, undefined])
  t.ok(Number(answer.headers['x-potluck-ttft-ms']) >= 0)
  t.strictSame(await eventsSoFar(url, events), ['connected', 'llm:request', 'llm:error'])
})

t.test('the headers of a stream come with its first byte', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const { chatUrl } = await openKitchen(t, async (_request, response) => {
    response.writeHead(200, { 'content-type': EVENTS }).write('d')
    await promise
    response.end('ata: {}\n\n')
  })
  const { response, ended } = await open(t, chatUrl, { stream: true })
  t.ok(Number(response.headers['x-potluck-ttft-ms']) >= 0)
  resolve()
  t.ok((await ended).complete)
})

t.test('what is only asked about is no event', async (t) => {
  const { url, code, eventsUrl, llm } = await openKitchen(t, answerJson({ input_tokens: 7 }))
  const events = await readEvents(t, eventsUrl)
  for (const path of ['/v1/messages/count_tokens', '/api/show']) {
    const answer = await send(t, `${url}/rooms/${code}${path}`, {})
    t.equal(answer.status, 200, path)
    t.equal(answer.headers['x-potluck-participant'], 'alice', path)
  }
  t.equal(llm.requests.length, 2)
  t.strictSame(await eventsSoFar(url, events), ['connected'])
})

async function performanceOf({ url, code }: Kitchen, id: string): Promise<Performance | undefined> {
  const path = `${url}/rooms/${code}/participants`
  const { body: one } = await call<{ participant: { performance?: Performance } }>('GET', `${path}/${id}`)
  const { body: all } = await call<{ participants: { id: string; performance?: Performance }[] }>('GET', path)
  t.strictSame(all.participants.find((participant) => participant.id === id)?.performance, one.participant.performance)
  return one.participant.performance
}

/** A fifth of the way each time, from the first on. */
function movingAverage(values: readonly number[]): number {
  return values.slice(1).reduce((average, value) => average + (value - average) / 5, values[0] ?? 0)
}

const isNear = (one: number, other: number) => Math.abs(one - other) < 0.1

t.test('a participant shows the moving averages of what it served', async (t) => {
  const meters = await openMeters(t)
  await join(meters.url, meters.code, { id: 'bob', nickname: 'Bob', model: 'other', endpoint: meters.llm.url })
  t.equal(await performanceOf(meters, 'alice'), undefined)
  const measured: Complete['metrics'][] = []
  for (let turn = 0; turn < 3; turn++) {
    for (const spoken of SPOKEN) {
      const answerer = answerFrames(spoken.type, spoken.answers().stream.frames)
      const { complete } = await meters.meter(
        spoken.path,
        { model: 'alice', ...spoken.request, ...spoken.streamed },
        answerer,
      )
      measured.push(complete.metrics)
    }
  }
  const { requests, ttftMs, tokensPerSecond } = (await performanceOf(meters, 'alice'))!
  t.equal(requests, measured.length)
  // What the request took in the hub itself is not the participant's.
  const felt = movingAverage(measured.map((one) => one.ttftMs))
  t.ok(ttftMs > 0 && ttftMs <= felt + 0.05, `${ttftMs} ms of ${felt}`)
  const speeds = measured.map((one) => one.tokensPerSecond).filter((speed) => speed > 0)
  t.ok(isNear(tokensPerSecond, movingAverage(speeds)), `${tokensPerSecond} tokens/s`)
  t.equal(await performanceOf(meters, 'bob'), undefined)
})

t.test('what fails, or generates no text, says nothing of its speed', async (t) => {
  const meters = await openMeters(t)
  const { url, code, llm, chatUrl } = meters
  await meters.meter('/v1/embeddings', {}, answerJson({}))
  llm.answer(answerJson({}, 500))
  await send(t, chatUrl, {})
  llm.answer((_request, response) => void response.destroy())
  await send(t, chatUrl, {})
  llm.answer(answerCut(LINES, ['{"done":false}\n']))
  await send(t, `${url}/rooms/${code}/api/chat`, {})
  t.equal(await performanceOf(meters, 'alice'), undefined)
})
