import { EVENTS, LINES, type StreamType } from './client-answers.ts'
import type { ToldError } from './error-shapes.ts'
import { readError } from './error-shapes.ts'
import type { Answerer } from './fake-llm.ts'
import {
  type Answers,
  anthropicAnswers,
  completionAnswers,
  llamaCppChatAnswers,
  ollamaChatAnswers,
  ollamaGenerateAnswers,
  openaiChatAnswers,
  responsesAnswers,
  vllmChatAnswers,
} from './real-answers.ts'

/** An API that generates text, as a server speaks it. */
export interface Spoken {
  server: string
  /** As the events name it. */
  protocol: string
  path: string
  request: object
  /** What asks for a stream. */
  streamed: object
  type: StreamType
  answers(said?: string): Answers
}

const MESSAGES = { messages: [{ role: 'user', content: 'What goes well with rice?' }] }
const [PLAIN, STREAMED] = [{ stream: false }, { stream: true }]

const chat = {
  protocol: 'openai-chat',
  path: '/v1/chat/completions',
  request: MESSAGES,
  streamed: STREAMED,
  type: EVENTS,
} as const

export const SPOKEN: readonly Spoken[] = [
  { server: 'OpenAI, chat', ...chat, answers: openaiChatAnswers },
  { server: 'llama.cpp, chat', ...chat, answers: llamaCppChatAnswers },
  { server: 'vLLM, chat', ...chat, answers: vllmChatAnswers },
  {
    server: 'OpenAI, completions',
    protocol: 'openai-completions',
    path: '/v1/completions',
    request: { prompt: 'Rice goes well with' },
    streamed: STREAMED,
    type: EVENTS,
    answers: completionAnswers,
  },
  {
    server: 'OpenAI, responses',
    protocol: 'openai-responses',
    path: '/v1/responses',
    request: { input: 'What goes well with rice?' },
    streamed: STREAMED,
    type: EVENTS,
    answers: responsesAnswers,
  },
  {
    server: 'Anthropic, messages',
    protocol: 'anthropic-messages',
    path: '/v1/messages',
    request: { max_tokens: 100, ...MESSAGES },
    streamed: STREAMED,
    type: EVENTS,
    answers: anthropicAnswers,
  },
  {
    server: 'Ollama, chat',
    protocol: 'ollama-chat',
    path: '/api/chat',
    request: { ...MESSAGES, ...PLAIN },
    // It streams unless it is told not to.
    streamed: { stream: undefined },
    type: LINES,
    answers: ollamaChatAnswers,
  },
  {
    server: 'Ollama, generate',
    protocol: 'ollama-generate',
    path: '/api/generate',
    request: { prompt: 'Rice goes well with', ...PLAIN },
    streamed: { stream: undefined },
    type: LINES,
    answers: ollamaGenerateAnswers,
  },
]

export function isStreamAsked({ type }: Spoken, body: { stream?: boolean }): boolean {
  return type === LINES ? body.stream !== false : body.stream === true
}

/** Answers as that server does, whichever was asked for. */
export function answerAs(spoken: Spoken, said?: string): Answerer {
  const { plain, stream } = spoken.answers(said)
  return ({ body }, response) => {
    const isStream = isStreamAsked(spoken, JSON.parse(body.toString()) as { stream?: boolean })
    const text = isStream ? stream.frames.join('') : plain.text
    const length = isStream ? {} : { 'content-length': Buffer.byteLength(text) }
    response.writeHead(200, { 'content-type': isStream ? spoken.type : 'application/json', ...length }).end(text)
  }
}

/** The frame with which the hub ends a stream that broke off, as the API's own clients read it. */
export function readLastError({ path, type, protocol }: Spoken, text: string): ToldError {
  const end = type === LINES ? '\n' : '\n\n'
  if (!text.endsWith(end)) throw new Error(`no frame ends ${JSON.stringify(text.slice(-100))}`)
  const lines = text.slice(0, -end.length).split(/\r?\n/)
  // A frame begins behind the last blank line.
  const frame = lines.slice(lines.lastIndexOf('') + 1).join('\n')
  if (type === LINES) return readError(path, frame.split('\n').at(-1) ?? '')
  const [, event, data = ''] = /^(?:event: (.*)\n)?data: (.*)$/.exec(frame) ?? []
  if (event !== (protocol === 'openai-responses' || protocol === 'anthropic-messages' ? 'error' : undefined)) {
    throw new Error(`the event is ${event}`)
  }
  return protocol === 'openai-responses' ? readResponsesError(data) : readError(path, data)
}

/** https://platform.openai.com/docs/api-reference/responses-streaming/error */
function readResponsesError(data: string): ToldError {
  const event = JSON.parse(data) as { type: string; code: string; message: string; param: null }
  const keys = Object.keys(event).sort().join()
  if (event.type !== 'error' || keys !== 'code,error,message,param,type') throw new Error(`no error event: ${data}`)
  return { message: event.message, code: event.code }
}
