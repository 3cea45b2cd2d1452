import t from 'tap'
import { TAIL_BYTES } from '../../plugins/ollama-proxy/both-ends.ts'
import { Meter } from '../../plugins/ollama-proxy/meter.ts'
import { openaiChat } from '../../plugins/ollama-proxy/protocols/openai-chat.ts'
import type { AnswerEnds } from '../../plugins/ollama-proxy/protocols/protocol.ts'
import type { Metrics } from '../../schemas/events.ts'

interface Seen {
  /** Bytes of an answer, in the pieces in which they come. */
  chunks: readonly (string | Buffer)[]
  requestBytes?: number
  /** Of the first chunk and of the end, ms after the request. */
  firstAt?: number
  endAt?: number
}

const STARTED_AT = 5000

function metricsOf({ chunks, requestBytes = 400, firstAt = 100, endAt = 1100 }: Seen): Metrics {
  const meter = new Meter({ protocol: openaiChat, startedAt: STARTED_AT, requestBytes })
  for (const [index, chunk] of chunks.entries()) meter.see(Buffer.from(chunk), STARTED_AT + firstAt + index)
  return meter.finish(STARTED_AT + endAt)
}

const USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":30,"total_tokens":37}'
const delta = (content: string) => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
const DONE = 'data: [DONE]\n\n'

/** The same bytes in pieces of that size. */
function inPieces(text: string, bytes: number): Buffer[] {
  const whole = Buffer.from(text)
  return Array.from({ length: Math.ceil(whole.length / bytes) }, (_, index) =>
    whole.subarray(index * bytes, (index + 1) * bytes),
  )
}

t.test('usage is taken from the answer, with speed and times', async (t) => {
  t.strictSame(metricsOf({ chunks: [`{"choices":[],${USAGE}}`] }), {
    ttftMs: 100,
    durationMs: 1100,
    inputTokens: 7,
    outputTokens: 30,
    totalTokens: 37,
    tokensPerSecond: 27.27,
    estimated: false,
  })
})

t.test('the speed of a stream is that of its generation', async (t) => {
  const chunks = [delta('a'), delta('b'), `data: {"choices":[],${USAGE}}\n\n`, DONE]
  t.match(metricsOf({ chunks }), { outputTokens: 30, tokensPerSecond: 29, ttftMs: 100 })
})

t.test('usage is found wherever the borders of the chunks are', async (t) => {
  const text = `${delta('é'.repeat(50)).repeat(5)}data: {"choices":[],${USAGE}}\n\n${DONE}`
  for (const bytes of [1, 2, 3, 7, 64, 100, 10_000]) {
    t.match(
      metricsOf({ chunks: inPieces(text, bytes) }),
      { inputTokens: 7, outputTokens: 30, estimated: false },
      `${bytes}`,
    )
  }
})

t.test('usage at the end is found behind an answer of any length', async (t) => {
  const text = `{"content":"${'x'.repeat(20 * TAIL_BYTES)}",${USAGE}}`
  for (const bytes of [1000, TAIL_BYTES, 65_536]) {
    t.match(metricsOf({ chunks: inPieces(text, bytes) }), { outputTokens: 30, estimated: false }, `${bytes}`)
  }
})

t.test('usage anywhere within the tail is found', async (t) => {
  for (const behind of [0, 100, TAIL_BYTES - USAGE.length - 20]) {
    const text = `${delta('x').repeat(500)}data: {${USAGE}}\n\n: ${'y'.repeat(behind)}`
    t.match(
      metricsOf({ chunks: inPieces(text, 100) }),
      { outputTokens: 30, estimated: false },
      `${behind} bytes behind`,
    )
  }
})

t.test('no more than the tail is ever looked at', async (t) => {
  for (const bytes of [1, 1000, TAIL_BYTES, TAIL_BYTES + 1, 300_000]) {
    let looked = 0
    const protocol = {
      streamType: 'text/event-stream' as const,
      readUsage({ tail }: AnswerEnds) {
        looked = Buffer.byteLength(tail)
        return undefined
      },
    }
    const meter = new Meter({ protocol, startedAt: 0, requestBytes: 1 })
    for (const chunk of inPieces('x'.repeat(300_000), bytes)) meter.see(chunk, 1)
    meter.finish(2)
    t.ok(looked > 0 && looked <= TAIL_BYTES, `${looked} bytes of chunks of ${bytes}`)
  }
})

t.test('llama.cpp’s timings count where there is no usage', async (t) => {
  const timings = '"timings":{"cache_n":5,"prompt_n":10,"prompt_ms":3.5,"predicted_n":20,"predicted_per_second":50.5}'
  const chunks = [delta('a'), `data: {"choices":[],${timings}}\n\n`, DONE]
  t.match(metricsOf({ chunks }), { inputTokens: 15, outputTokens: 20, estimated: false })
  const both = [`data: {${timings},${USAGE}}\n\n`]
  t.match(metricsOf({ chunks: both }), { inputTokens: 7, outputTokens: 30 })
})

t.test('usage that an answer only talks about is no usage', async (t) => {
  const decoy = '{"usage":{"prompt_tokens":999,"completion_tokens":999}}'
  const spoken = [
    decoy,
    JSON.stringify(decoy),
    JSON.stringify(JSON.stringify(decoy)),
    'usage',
    '"usage":',
    '"timings":{"prompt_n":1,"predicted_n":1}',
  ]
  for (const content of spoken) {
    t.match(metricsOf({ chunks: [`${JSON.stringify({ content })}`] }), { estimated: true }, content)
    const answer = `{${USAGE},${JSON.stringify({ content }).slice(1)}`
    t.match(metricsOf({ chunks: [answer] }), { outputTokens: 30, estimated: false }, content)
  }
})

t.test('a tail that begins in the midst of such talk is not fooled', async (t) => {
  const talk = JSON.stringify({ content: '{"usage":{"prompt_tokens":999,"completion_tokens":999}}'.repeat(400) })
  for (let cut = 0; cut < 80; cut++) {
    t.match(metricsOf({ chunks: [talk.slice(cut)] }), { estimated: true }, `cut at ${cut}`)
  }
})

t.test('usage that is null, incomplete or impossible is passed over', async (t) => {
  const wrong = [
    'null',
    '{}',
    '{"prompt_tokens":1}',
    '{"prompt_tokens":-1,"completion_tokens":5}',
    '{"prompt_tokens":"1","completion_tokens":"5"}',
    '{"prompt_tokens":1',
    '[1]',
    '7',
  ]
  for (const usage of wrong)
    t.match(metricsOf({ chunks: [`data: {"usage":${usage}}\n\n`] }), { estimated: true }, usage)
})

t.test('of several usages the last one counts', async (t) => {
  const running = '"usage":{"prompt_tokens":7,"completion_tokens":1}'
  t.match(metricsOf({ chunks: [`data: {${running}}\n\ndata: {${USAGE}}\n\ndata: {"usage":null}\n\n`] }), {
    outputTokens: 30,
  })
})

t.test('without usage a stream’s frames are its tokens', async (t) => {
  const chunks = ['a', 'b', 'c'].map(delta)
  t.match(metricsOf({ chunks }), { inputTokens: 100, outputTokens: 3, totalTokens: 103, estimated: true })
})

t.test('frames are counted wherever the borders of the chunks are', async (t) => {
  const text = ['a', 'b', 'c'].map(delta).join('')
  for (const bytes of [1, 2, 5, delta('a').length - 1, 1000]) {
    t.match(metricsOf({ chunks: inPieces(text, bytes) }), { outputTokens: 3, estimated: true }, `${bytes}`)
  }
})

// Some servers (those on sse-starlette among them) end their lines with CRLF; WHATWG EventSource allows it.
t.test('frames with CRLF are counted like those with LF', async (t) => {
  const chunks = ['a', 'b', 'c'].map((content) => delta(content).replaceAll('\n', '\r\n'))
  t.match(metricsOf({ chunks }), { outputTokens: 3, estimated: true })
})

t.test('without usage an answer in one piece is judged by its size', async (t) => {
  const chunks = ['x'.repeat(100), 'x'.repeat(21)]
  t.match(metricsOf({ chunks, requestBytes: 9 }), { inputTokens: 3, outputTokens: 31, estimated: true })
})

t.test('an empty answer has no tokens and no speed', async (t) => {
  const expected = { outputTokens: 0, tokensPerSecond: 0, ttftMs: 1100, durationMs: 1100, estimated: true }
  t.match(metricsOf({ chunks: [] }), expected)
})

t.test('an answer in no time at all has no speed rather than an infinite one', async (t) => {
  t.match(metricsOf({ chunks: [`{${USAGE}}`], firstAt: 0, endAt: 0 }), { outputTokens: 30, tokensPerSecond: 0 })
})

t.test('the first byte is when the first chunk came', async (t) => {
  const meter = new Meter({ protocol: openaiChat, startedAt: 0, requestBytes: 0 })
  t.equal(meter.firstByteAt, undefined)
  meter.see(Buffer.from('a'), 12.345)
  meter.see(Buffer.from('b'), 99)
  t.equal(meter.firstByteAt, 12.345)
  t.match(meter.finish(100), { ttftMs: 12.35 })
})
