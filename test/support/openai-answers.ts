import type OpenAI from 'openai'
import { answerFrames, answerJson, bodyOf, DONE, dataFrame, EVENTS } from './client-answers.ts'
import { REAL_MODEL } from './clients.ts'
import type { Answerer } from './fake-llm.ts'

/** Answers of an OpenAI-compatible server, as OpenAI's own client types them. */

type Chat = OpenAI.Chat.ChatCompletion
type Chunk = OpenAI.Chat.ChatCompletionChunk
type ToolCall = OpenAI.Chat.ChatCompletionMessageFunctionToolCall

export const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }

const ABOUT = { id: 'chatcmpl-1', created: 1_700_000_000, model: REAL_MODEL }

export function chatOf(message: Partial<OpenAI.Chat.ChatCompletionMessage>): Chat {
  const finish_reason = message.tool_calls === undefined ? 'stop' : 'tool_calls'
  const whole = { role: 'assistant' as const, content: null, refusal: null, ...message }
  return {
    ...ABOUT,
    object: 'chat.completion',
    choices: [{ index: 0, message: whole, finish_reason, logprobs: null }],
    usage: USAGE,
  }
}

export const FRIDGE: ToolCall = {
  id: 'call_1',
  type: 'function',
  function: { name: 'look_into_fridge', arguments: '{"shelf":"top","items":3}' },
}

export const FRIDGE_TOOL = {
  type: 'function' as const,
  function: {
    name: FRIDGE.function.name,
    description: 'What is in the fridge',
    parameters: {
      type: 'object',
      properties: { shelf: { type: 'string' }, items: { type: 'number' } },
      required: ['shelf', 'items'],
      additionalProperties: false,
    },
  },
}

export const DISH_SCHEMA = {
  type: 'object',
  properties: { dish: { type: 'string' }, minutes: { type: 'number' } },
  required: ['dish', 'minutes'],
  additionalProperties: false,
}

type Choice = Chunk['choices'][number]

function chunkOf(delta: Choice['delta'], finish_reason: Choice['finish_reason'] = null): Chunk {
  return { ...ABOUT, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] }
}

const USAGE_CHUNK: Chunk = { ...ABOUT, object: 'chat.completion.chunk', choices: [], usage: USAGE }

function framesOf(chunks: readonly Chunk[]): string[] {
  return [...chunks.map(dataFrame), DONE]
}

/** A stream's beginning: who speaks, and a chunk for each word. */
export function wordChunks(words: readonly string[]): string[] {
  return [chunkOf({ role: 'assistant', content: '' }), ...words.map((content) => chunkOf({ content }))].map(dataFrame)
}

export function streamedChat(words: readonly string[]): string[] {
  return [...wordChunks(words), ...framesOf([chunkOf({}, 'stop'), USAGE_CHUNK])]
}

/** The call's name comes first, its arguments in pieces. */
export function streamedCall({ id, type, function: { name, arguments: text } }: ToolCall): string[] {
  const pieces = [text.slice(0, 5), text.slice(5, 6), text.slice(6)]
  const begin = { index: 0, id, type, function: { name, arguments: '' } }
  return framesOf([
    chunkOf({ role: 'assistant', content: null, tool_calls: [begin] }),
    ...pieces.map((piece) => chunkOf({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
    chunkOf({}, 'tool_calls'),
    USAGE_CHUNK,
  ])
}

export const answerChat = (words: readonly string[]): Answerer => {
  const [plain, streamed] = [answerJson(chatOf({ content: words.join('') })), answerFrames(EVENTS, streamedChat(words))]
  return (request, response) => (bodyOf(request).stream === true ? streamed : plain)(request, response)
}

type Completion = OpenAI.Completion

function textOf(text: string, finish_reason: 'stop' | null): Omit<Completion, 'choices'> & { choices: object[] } {
  return { ...ABOUT, object: 'text_completion', choices: [{ index: 0, text, finish_reason, logprobs: null }] }
}

/** As most servers, with the usage on the last chunk. */
export const answerText = (words: readonly string[]): Answerer => {
  const last = { ...textOf('', 'stop'), usage: USAGE }
  const frames = [...words.map((word) => textOf(word, null)), last].map(dataFrame)
  const [plain, streamed] = [
    answerJson({ ...textOf(words.join(''), 'stop'), usage: USAGE }),
    answerFrames(EVENTS, [...frames, DONE]),
  ]
  return (request, response) => (bodyOf(request).stream === true ? streamed : plain)(request, response)
}

/** Exact in 32 bits, so that they come through base64 as they are. */
export const VECTORS = [
  [0.5, -1, 0.25, 2],
  [1, 0, -0.125, 8],
]

function encode(vector: readonly number[]): string {
  return Buffer.from(new Float32Array(vector).buffer).toString('base64')
}

/** A vector for each input, in the encoding that was asked for. */
export const answerEmbeddings: Answerer = answerJson((request) => {
  const { input, encoding_format } = bodyOf<OpenAI.EmbeddingCreateParams>(request)
  const vectors = VECTORS.slice(0, Array.isArray(input) ? input.length : 1)
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: encoding_format === 'base64' ? encode(vector) : vector,
  }))
  return { object: 'list', model: REAL_MODEL, data, usage: { prompt_tokens: 4, total_tokens: 4 } }
})

export function openaiError(message: string, type: string, code: string | null = null): object {
  return { error: { message, type, param: null, code } }
}
