import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import {
  answerMessage,
  anthropicError,
  FRIDGE_USE,
  messageOf,
  OUTPUT_TOKENS,
  streamedMessage,
  wordFrames,
} from '../support/anthropic-answers.ts'
import { within } from '../support/chat.ts'
import {
  answerCut,
  answerFrames,
  answerInTurn,
  answerJson,
  beginStream,
  bodyOf,
  EVENTS,
  eventFrame,
  formOf,
} from '../support/client-answers.ts'
import { answered, blocksOf, run, runBlock, startKitchen } from '../support/client-pages.ts'
import {
  isLeft,
  LOCKED,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  PASSWORD,
  QUESTION,
  REAL_MODEL,
} from '../support/clients.ts'
import type { Answerer, SeenRequest } from '../support/fake-llm.ts'
import { openRoomFor } from '../support/kitchen.ts'
import { startLlama } from '../support/llama.ts'
import {
  answerChat,
  answerEmbeddings,
  answerText,
  chatOf,
  FRIDGE,
  openaiError,
  VECTORS,
  wordChunks,
} from '../support/openai-answers.ts'
import { keepResponses, responseFrames } from '../support/responses-answers.ts'
import { readEvents } from '../support/sse.ts'

/** Newer ones may want another page; so the pages are tried with these. */
const PACKAGES = ['openai==3.54.0', 'langchain-openai==1.7.3', 'anthropic==2.13.0']

const folder = mkdtempSync(join(tmpdir(), 'potluck-python-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const python = join(folder, 'bin/python')

/** @returns why it can't be tried here; undefined where it can. */
async function install(): Promise<string | undefined> {
  const steps = [
    ['python3', '-m', 'venv', folder],
    [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES],
  ]
  for (const step of steps) {
    const { code, stdout, stderr } = await run(step, tmpdir(), process.env)
    if (code !== 0) return `${step.slice(0, 4).join(' ')} failed (${code}): ${`${stdout}${stderr}`.trim().slice(-500)}`
  }
  return undefined
}

const obstacle = await install()
if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: Python's clients: ${obstacle}`)

for (const page of ['openai-python.md', 'langchain-python.md']) {
  t.test(`${page}: what the page says chats, plain and streamed`, { skip: obstacle ?? false }, async (t) => {
    const kitchen = await startKitchen(t)
    const [block] = blocksOf(page)
    answered(t, await runBlock(block!, kitchen, folder, [python]), kitchen)
  })
}

const SCRIPT = join(import.meta.dirname, 'clients.py')

/** What came of each thing that Python's clients were to do; a failure that they raised is `{failed, status, message}`. */
async function tell<T extends string>(base: string, names: readonly T[], key = 'unused', model = MODEL) {
  const { code, stdout, stderr } = await run([python, SCRIPT, base, key, model, ...names], folder)
  if (code !== 0) throw new Error(`${names.join(', ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout) as Record<T, unknown>
}

/** A server that knows all of it. */
function answerAll(): Answerer {
  const [chat, text, message] = [answerChat(WORDS), answerText(WORDS), answerMessage(WORDS)]
  const alice = keepResponses('alice')
  return (request, response) => {
    const answerers: Record<string, Answerer> = {
      '/v1/chat/completions': chat,
      '/v1/completions': text,
      '/v1/embeddings': answerEmbeddings,
      '/v1/audio/transcriptions': answerJson({ text: 'Dinner is ready' }),
      '/v1/messages': message,
      '/v1/messages/count_tokens': answerJson({ input_tokens: 7 }),
    }
    return (answerers[request.path.split('?')[0] ?? ''] ?? alice.answerer)(request, response)
  }
}

const WORDS = ['So', 'up', ' ☕']
const SOUP = WORDS.join('')
const EIGHT = Array.from({ length: 8 }, () => SOUP)

const OPENAI = [
  ...(['openai_chat', 'openai_stream', 'openai_completion', 'openai_embeddings', 'openai_transcription'] as const),
  ...(['openai_models', 'openai_async'] as const),
  ...(['openai_responses', 'openai_responses_stream', 'openai_responses_helper'] as const),
] as const
const ANTHROPIC = [
  ...(['anthropic_create', 'anthropic_stream', 'anthropic_helper', 'anthropic_count'] as const),
  ...(['anthropic_bearer', 'anthropic_beta', 'anthropic_async'] as const),
] as const
type Told = Record<(typeof OPENAI)[number] | (typeof ANTHROPIC)[number], unknown>

async function holdOpenAi(t: Test, told: Told, requests: readonly SeenRequest[]): Promise<void> {
  const streamed = ['', ...WORDS, '', 10]
  t.strictSame(told.openai_chat, [SOUP, 10])
  t.strictSame(told.openai_stream, { parts: streamed })
  t.equal(told.openai_completion, SOUP)
  t.strictSame(told.openai_embeddings, VECTORS)
  t.equal(told.openai_transcription, 'Dinner is ready')
  t.strictSame(told.openai_models, [REAL_MODEL, 'alice', '*'])
  t.strictSame(told.openai_async, [EIGHT, streamed])
  t.match(bodyOf(requests[0]!), { model: REAL_MODEL, messages: [{ content: QUESTION }], min_p: 0.1 })
  const form = await formOf(requests.find(({ path }) => path.endsWith('transcriptions'))!)
  t.equal(form.get('model'), REAL_MODEL)
  const bytes = Buffer.from(await (form.get('file') as File).arrayBuffer())
  t.ok(bytes.equals(Buffer.from(Array.from({ length: 256_000 }, (_, at) => at % 256))), 'the file arrives intact')
}

function holdResponses(t: Test, { openai_responses, openai_responses_stream, openai_responses_helper }: Told): void {
  const following = 'alice goes on from resp_alice1'
  t.strictSame(openai_responses, ['alice says soup', true, [QUESTION], following, 404])
  const { parts, ...failure } = openai_responses_stream as { parts: string[] }
  t.strictSame(failure, {})
  t.equal(parts[0], 'response.created')
  t.equal(parts.at(-1), 'response.completed')
  t.strictSame(openai_responses_helper, [['alice ', 'says ', 'soup'], 'alice says soup'])
}

function holdAnthropic(t: Test, told: Told, requests: readonly SeenRequest[]): void {
  t.strictSame(told.anthropic_create, [SOUP, OUTPUT_TOKENS, 'end_turn'])
  const { parts, ...failure } = told.anthropic_stream as { parts: string[] }
  t.strictSame(failure, {})
  t.equal(parts[0], 'message_start')
  t.equal(parts.at(-1), 'message_stop')
  t.strictSame(told.anthropic_helper, [WORDS, SOUP])
  t.equal(told.anthropic_count, 7)
  t.equal(told.anthropic_bearer, SOUP)
  t.equal(told.anthropic_beta, SOUP)
  t.strictSame(told.anthropic_async, [EIGHT, WORDS])
  const first = requests.find(({ path }) => path === '/v1/messages')!
  t.match(bodyOf(first), { model: REAL_MODEL, max_tokens: 20, messages: [{ content: QUESTION }] })
  t.ok(requests.some(({ headers }) => headers['anthropic-beta']?.includes('interleaved-thinking')))
}

t.test("Python's clients", { skip: obstacle ?? false }, async (t) => {
  for (const where of ['in the room', 'at the root'] as const) {
    t.test(`ask all that they can, ${where}`, async (t) => {
      const { room, url, code, llm } = await openClientKitchen(t, answerAll(), LOCKED)
      const told = await (where === 'in the room'
        ? tell(room, [...OPENAI, ...ANTHROPIC], PASSWORD)
        : tell(url, [...OPENAI, ...ANTHROPIC], `${code}:${PASSWORD}`))
      await holdOpenAi(t, told, llm.requests)
      holdResponses(t, told)
      holdAnthropic(t, told, llm.requests)
      const headers = JSON.stringify(llm.requests.map(({ headers }) => headers))
      t.notOk(headers.includes(PASSWORD), 'the password stays in the hub')
    })
  }

  t.test('tools and structured answers', async (t) => {
    const args = { shelf: 'top', items: 3 }
    const call = answerJson(chatOf({ tool_calls: [FRIDGE] }))
    const dish = answerJson(chatOf({ content: '{"dish": "Soup", "minutes": 20}' }))
    const { room, llm } = await openClientKitchen(t, answerInTurn(call, dish, answerJson(messageOf([FRIDGE_USE]))))
    t.strictSame(await tell(room, ['openai_tools', 'openai_parse', 'anthropic_tools']), {
      openai_tools: [FRIDGE.function.name, args],
      openai_parse: { dish: 'Soup', minutes: 20 },
      anthropic_tools: [[FRIDGE_USE.name, args]],
    })
    t.match(bodyOf(llm.requests[1]!), { response_format: { type: 'json_schema', json_schema: { name: 'Dish' } } })
  })

  const CALLS = ['openai_chat', 'openai_responses', 'openai_embeddings', 'openai_transcription'] as const
  const CLAUDE = ['anthropic_create', 'anthropic_helper', 'anthropic_count'] as const

  t.test('an unknown model is a NotFoundError, and nobody is asked', async (t) => {
    const { room, llm } = await openClientKitchen(t, answerAll())
    const told = await tell(room, [...CALLS, ...CLAUDE], 'unused', 'gpt-9')
    for (const [name, outcome] of Object.entries(told)) {
      t.match(outcome, { failed: 'NotFoundError', status: 404, message: /No available participant/ }, name)
    }
    t.equal(llm.requests.length, 0)
  })

  t.test('a locked room is an AuthenticationError without its password, and nobody is asked', async (t) => {
    const { room, llm } = await openClientKitchen(t, answerAll(), LOCKED)
    const told = await tell(room, [...CALLS, ...CLAUDE, 'openai_models', 'anthropic_bearer'], 'wrong horse')
    for (const [name, outcome] of Object.entries(told)) {
      t.match(outcome, { failed: 'AuthenticationError', status: 401, message: /Invalid password/ }, name)
    }
    t.equal(llm.requests.length, 0)
  })

  t.test('an error of the participant comes in its words', async (t) => {
    const { room, llm } = await openClientKitchen(t, answerJson(openaiError('too hot', 'kitchen_error'), 422))
    for (const [name, outcome] of Object.entries(await tell(room, [...CALLS, 'openai_stream'])))
      t.match(outcome, { failed: 'UnprocessableEntityError', message: /too hot/ }, name)
    llm.answer(answerJson(anthropicError('invalid_request_error', 'too salty'), 400))
    for (const [name, outcome] of Object.entries(await tell(room, [...CLAUDE, 'anthropic_stream'])))
      t.match(outcome, { failed: 'BadRequestError', message: /too salty/ }, name)
    t.equal(llm.requests.length, CALLS.length + CLAUDE.length + 2)
  })

  t.test('streams that break raise, are not ended, and are asked for once', async (t) => {
    const begun: Record<string, readonly string[]> = {
      '/v1/chat/completions': wordChunks(['So', 'up']),
      '/v1/responses': responseFrames('resp_1', ['So']).slice(0, 2),
      '/v1/messages': wordFrames(['So']),
    }
    const { room, llm } = await openClientKitchen(t, (request, response) =>
      answerCut(EVENTS, begun[request.path] ?? [])(request, response),
    )
    const told = await tell(room, ['openai_stream', 'openai_responses_stream', 'anthropic_stream'])
    const [chat, responses, messages] = Object.values(told)
    t.match(chat, { parts: ['', 'So', 'up'], failed: 'APIError' })
    t.match(responses, { parts: ['response.created', 'response.in_progress'], failed: /^API/ })
    const parts = ['message_start', 'content_block_start', 'content_block_delta']
    t.match(messages, { parts, failed: /Error$/ })
    // In the error that is raised, or in an event of its own before it.
    for (const outcome of [chat, responses, messages]) t.match(JSON.stringify(outcome), 'Alice (alice) broke off')
    t.notMatch(JSON.stringify(told), /response\.completed|message_stop/)
    t.equal(llm.requests.length, 3)
  })

  t.test("anthropic: a participant's own error event comes in its words", async (t) => {
    const overloaded = { type: 'error', error: { type: 'overloaded_error', message: 'too many cooks' } }
    const { room } = await openClientKitchen(t, answerFrames(EVENTS, [...wordFrames(['So']), eventFrame(overloaded)]))
    const { anthropic_stream } = await tell(room, ['anthropic_stream'])
    t.match(anthropic_stream, { parts: ['message_start'], failed: /Error$/, message: /too many cooks/ })
  })

  /** What leaves in the midst of a stream, or before the first byte. */
  const LEFT: Record<string, readonly string[]> = {
    openai_stream_left: wordChunks(['So']),
    openai_async_left: wordChunks(['So']),
    openai_too_slow: [],
    openai_async_cancelled: [],
    anthropic_stream_left: streamedMessage(['So']).slice(0, 3),
    anthropic_async_left: streamedMessage(['So']).slice(0, 4),
    anthropic_too_slow: [],
  }

  t.test('what the client leaves ends at the participant', async (t) => {
    const { next, room, llm } = await openKitchenByHand(t)
    const telling = tell(room, Object.keys(LEFT))
    for (const begun of Object.values(LEFT)) {
      const order = await within(next(), 30_000, 'a request')
      if (begun.length > 0) await beginStream(order.response, EVENTS, ...begun)
      await isLeft(t, order)
    }
    for (const [name, outcome] of Object.entries(await telling)) {
      if (LEFT[name]!.length === 0) t.match(outcome, { failed: /Timeout/ }, name)
      else t.type(outcome, 'string', name)
    }
    t.equal(llm.requests.length, Object.keys(LEFT).length)
  })
})

const { LLAMA_DIR } = process.env
const WHY_NOT = obstacle ?? (LLAMA_DIR === undefined ? 'LLAMA_DIR is not set' : false)

t.test("Python's clients and a real llama.cpp server", { skip: WHY_NOT }, async (t) => {
  const llama = await startLlama(t, LLAMA_DIR ?? '', '--embeddings', '--pooling', 'mean')
  const { url, code, eventsUrl } = await openRoomFor(t, llama.url, { participant: { model: 'potluck-test' } })
  const events = await readEvents(t, eventsUrl)
  const openai = ['openai_chat', 'openai_stream', 'openai_completion', 'openai_responses_stream'] as const
  const others = ['openai_embeddings', 'anthropic_create', 'anthropic_helper', 'anthropic_count'] as const
  const both = ['openai_async', 'anthropic_async'] as const
  const told = await tell(`${url}/rooms/${code}`, [...openai, ...others, ...both], 'unused', 'potluck-test')
  for (const [name, outcome] of Object.entries(told)) t.notMatch(JSON.stringify(outcome), /"failed"/, name)
  const [said, tokens] = told.openai_chat as [string, number]
  t.ok(said)
  const { parts } = told.openai_stream as { parts: string[] }
  t.equal(parts.join(''), said, 'the same streamed')
  const { metrics } = (await events.next('llm:complete')).data as EventData<'llm:complete'>
  t.match(metrics, { outputTokens: 20, totalTokens: tokens, estimated: false })
  t.match(told.anthropic_create, [/\w/, 20, 'max_tokens'])
  t.equal((told.openai_responses_stream as { parts: string[] }).parts.at(-1), 'response.completed')
  const [pieces, whole] = told.anthropic_helper as [string[], string]
  t.equal(pieces.join(''), whole)
  t.ok((told.anthropic_count as number) > 0)
  t.notOk(events.frames.some(({ event }) => event === 'llm:error'))
})
