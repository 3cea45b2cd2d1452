import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { answerCut, answerFrames, answerJson, beginStream, bodyOf, EVENTS } from '../support/client-answers.ts'
import { answered, blocksOf, run, runBlock, startKitchen } from '../support/client-pages.ts'
import {
  failureOf,
  isLeft,
  LOCKED,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  PASSWORD,
  QUESTION,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import type { Answerer } from '../support/fake-llm.ts'
import {
  answerChat,
  answerEmbeddings,
  chatOf,
  DISH_SCHEMA,
  FRIDGE,
  FRIDGE_TOOL,
  openaiError,
  streamedCall,
  VECTORS,
  wordChunks,
} from '../support/openai-answers.ts'
import { keepResponses } from '../support/responses-answers.ts'

/** Newer ones may want another page; so the page is tried with these. */
const PACKAGES = ['@langchain/openai@1.6.0', '@langchain/core@1.4.0']

const folder = mkdtempSync(join(tmpdir(), 'potluck-langchain-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** @returns why it can't be tried here; undefined where it can. */
async function install(): Promise<string | undefined> {
  writeFileSync(join(folder, 'package.json'), '{"private": true}')
  const { code, stderr } = await run(
    ['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES],
    folder,
    process.env,
  )
  return code === 0 ? undefined : `npm install failed (${code}): ${stderr.trim().slice(-500)}`
}

const obstacle = await install()
if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: LangChain for JavaScript: ${obstacle}`)

t.test('langchain-js.md: what the page says chats, plain and streamed', { skip: obstacle ?? false }, async (t) => {
  const kitchen = await startKitchen(t)
  const [block] = blocksOf('langchain-js.md')
  answered(t, await runBlock(block!, kitchen, folder, [process.execPath]), kitchen)
})

/** What of LangChain is used here; its own types are not installed. */
interface Said {
  content: string
  tool_calls?: { name: string; args: object; id: string }[]
  usage_metadata?: { input_tokens: number; output_tokens: number }
  response_metadata: Record<string, unknown>
  concat(other: Said): Said
}

interface Runnable<T> {
  invoke(question: string, options?: { signal?: AbortSignal }): Promise<T>
  stream(question: string, options?: { signal?: AbortSignal }): Promise<AsyncIterable<T>>
}

interface Chat extends Runnable<Said> {
  bindTools(tools: readonly object[]): Runnable<Said>
  withStructuredOutput(schema: object, options: { name: string; method: string }): Runnable<object>
}

interface LangChain {
  ChatOpenAI: new (options: object) => Chat
  OpenAIEmbeddings: new (
    options: object,
  ) => {
    embedQuery(text: string): Promise<number[]>
    embedDocuments(texts: readonly string[]): Promise<number[][]>
  }
}

async function load(): Promise<LangChain> {
  const { resolve } = createRequire(join(folder, 'package.json'))
  return (await import(pathToFileURL(resolve('@langchain/openai')).href)) as LangChain
}

function optionsFor(room: string, more: object): object {
  return { model: MODEL, apiKey: 'unused', maxRetries: 0, configuration: { baseURL: `${room}/v1` }, ...more }
}

async function chatOn({ room }: { room: string }, more: object = {}): Promise<Chat> {
  const { ChatOpenAI } = await load()
  return new ChatOpenAI(optionsFor(room, more))
}

async function openChat(t: Test, answerer: Answerer, more: object = {}) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, chat: await chatOn(kitchen, more) }
}

function textOf(parts: readonly Said[]): string {
  return parts.map(({ content }) => content).join('')
}

function wholeOf(parts: readonly Said[]): Said {
  return parts.reduce((whole, part) => whole.concat(part))
}

t.test('LangChain for JavaScript', { skip: obstacle ?? false }, async (t) => {
  t.test('invoke and stream answer, with their usage', async (t) => {
    const { chat, llm } = await openChat(t, answerChat(['So', 'up', ' ☕']))
    const plain = await chat.invoke(QUESTION)
    t.equal(plain.content, 'Soup ☕')
    const { parts, error } = await readStream(await chat.stream(QUESTION))
    t.equal(error, undefined)
    t.equal(textOf(parts), 'Soup ☕')
    t.ok(parts.length > 3, 'in pieces')
    for (const said of [plain, wholeOf(parts)]) t.match(said.usage_metadata, { input_tokens: 7, output_tokens: 3 })
    t.match(llm.requests.map(bodyOf), [{ model: REAL_MODEL }, { model: REAL_MODEL, stream: true }])
  })

  t.test('a tool call comes through, plain and streamed', async (t) => {
    const { chat, llm } = await openChat(t, answerJson(chatOf({ tool_calls: [FRIDGE] })))
    const cook = chat.bindTools([FRIDGE_TOOL])
    const call = { name: FRIDGE.function.name, args: { shelf: 'top', items: 3 }, id: FRIDGE.id }
    t.match((await cook.invoke(QUESTION)).tool_calls, [call])
    llm.answer(answerFrames(EVENTS, streamedCall(FRIDGE)))
    const { parts } = await readStream(await cook.stream(QUESTION))
    t.match(wholeOf(parts).tool_calls, [call])
    for (const request of llm.requests) t.strictSame(bodyOf(request).tools, [FRIDGE_TOOL])
  })

  t.test('an object by a schema', async (t) => {
    const { chat, llm } = await openChat(t, answerChat(['{"dish": "Soup", ', '"minutes": 20}']))
    const cook = chat.withStructuredOutput(DISH_SCHEMA, { name: 'dish', method: 'jsonSchema' })
    t.strictSame(await cook.invoke(QUESTION), { dish: 'Soup', minutes: 20 })
    const format = { type: 'json_schema', json_schema: { name: 'dish', schema: DISH_SCHEMA } }
    t.match(bodyOf(llm.requests[0]!).response_format, format)
  })

  t.test("OpenAI's newer API, plain and streamed", async (t) => {
    const { chat, llm } = await openChat(t, keepResponses('alice').answerer, { useResponsesApi: true })
    t.match(JSON.stringify((await chat.invoke(QUESTION)).content), 'alice says soup')
    const { parts, error } = await readStream(await chat.stream(QUESTION))
    t.equal(error, undefined)
    t.match(JSON.stringify(wholeOf(parts).content), 'alice says soup')
    t.strictSame(
      llm.requests.map(({ path }) => path),
      ['/v1/responses', '/v1/responses'],
    )
  })

  t.test('embeddings', async (t) => {
    const { room, llm } = await openClientKitchen(t, answerEmbeddings)
    const { OpenAIEmbeddings } = await load()
    const embeddings = new OpenAIEmbeddings(optionsFor(room, {}))
    t.strictSame(Array.from(await embeddings.embedQuery('rice')), VECTORS[0])
    const many = await embeddings.embedDocuments(['rice', 'noodles'])
    t.strictSame(
      many.map((vector) => Array.from(vector)),
      VECTORS,
    )
    t.equal(llm.requests.length, 2)
  })

  t.test('a stream that breaks raises, is not ended, and is asked for once', async (t) => {
    const { chat, llm } = await openChat(t, answerCut(EVENTS, wordChunks(['So', 'up'])), { maxRetries: 2 })
    const { parts, error } = await readStream(await chat.stream(QUESTION))
    t.equal(textOf(parts), 'Soup')
    t.notOk(
      parts.some(({ response_metadata }) => response_metadata.finish_reason),
      'no end is made up',
    )
    t.match((error as Error).message, 'Alice (alice) broke off')
    t.equal(llm.requests.length, 1)
  })

  t.test('a stream that the client aborts ends at the participant', async (t) => {
    const { next, ...kitchen } = await openKitchenByHand(t)
    const abort = new AbortController()
    const coming = (await chatOn(kitchen)).stream(QUESTION, { signal: abort.signal })
    const order = await next()
    await beginStream(order.response, EVENTS, ...wordChunks(['So']))
    // Not by leaving a loop: LangChain would wait for the next piece before it lets go.
    const pieces = (await coming)[Symbol.asyncIterator]()
    await pieces.next()
    abort.abort()
    await isLeft(t, order)
    t.match((await failureOf<Error>(pieces.next(), Error)).message, /abort/i)
  })

  for (const way of ['invoke', 'stream'] as const) {
    t.test(`${way}: aborted before the first byte, it ends at the participant`, async (t) => {
      const { next, ...kitchen } = await openKitchenByHand(t)
      const abort = new AbortController()
      const chat = await chatOn(kitchen)
      const failing = failureOf<Error>(chat[way](QUESTION, { signal: abort.signal }), Error)
      const order = await next()
      abort.abort()
      t.match((await failing).message, /abort/i)
      await isLeft(t, order)
    })

    t.test(`${way}: an unknown model is 404 and says so, and nobody is asked`, async (t) => {
      const { chat, llm } = await openChat(t, answerChat(['Soup']), { model: 'gpt-9' })
      const failure = await failureOf<Error>(chat[way](QUESTION), Error)
      t.match(failure, { status: 404, message: /No available participant/ })
      t.equal(llm.requests.length, 0)
    })

    t.test(`${way}: an error of the participant comes in its words`, async (t) => {
      const refusal = openaiError('the prompt is too long', 'exceed_context_size_error')
      const { chat, llm } = await openChat(t, answerJson(refusal, 400))
      const failure = await failureOf<Error>(chat[way](QUESTION), Error)
      t.match(failure, { status: 400, message: /the prompt is too long/ })
      t.equal(llm.requests.length, 1)
    })

    t.test(`${way}: a locked room is 401 without its password, and open with it`, async (t) => {
      const kitchen = await openClientKitchen(t, answerChat(['Soup']), LOCKED)
      const refused = (await chatOn(kitchen))[way](QUESTION)
      t.match(await failureOf<Error>(refused, Error), { status: 401 })
      t.equal(kitchen.llm.requests.length, 0)
      const answer = await (await chatOn(kitchen, { apiKey: PASSWORD }))[way](QUESTION)
      if (Symbol.asyncIterator in answer) await readStream(answer)
      t.equal(kitchen.llm.requests.length, 1)
    })
  }
})
