import type { ServerResponse } from 'node:http'
import { answerFrames, answerJson, bodyOf, LINES, line, sendJson } from './client-answers.ts'
import { REAL_MODEL } from './clients.ts'
import type { Answerer, SeenRequest } from './fake-llm.ts'

/** Answers of an Ollama server: https://github.com/ollama/ollama/blob/main/docs/api.md */

const ABOUT = { model: REAL_MODEL, created_at: '2026-01-01T12:00:00.123456789Z' }

export const COUNTS = {
  total_duration: 4_883_583_458,
  load_duration: 1_334_875,
  prompt_eval_count: 26,
  prompt_eval_duration: 342_546_000,
  eval_count: 6,
  eval_duration: 4_535_599_000,
}

const END = { done: true, done_reason: 'stop', ...COUNTS }

type Said = 'chat' | 'generate'

/** What a chat says stands in a message, what a completion says beside. */
function saying(api: Said, text: string): object {
  return api === 'chat' ? { message: { role: 'assistant', content: text } } : { response: text }
}

/** A stream's beginning, a line for each word. */
export function wordLines(api: Said, words: readonly string[]): string[] {
  return words.map((word) => line({ ...ABOUT, ...saying(api, word), done: false }))
}

export function streamedLines(api: Said, words: readonly string[]): string[] {
  return [...wordLines(api, words), line({ ...ABOUT, ...saying(api, ''), ...END })]
}

export const FRIDGE_TOOL_CALL = { function: { name: 'look_into_fridge', arguments: { shelf: 'top', items: 3 } } }

export const TOOL_CALL_ANSWER = {
  ...ABOUT,
  message: { role: 'assistant', content: '', tool_calls: [FRIDGE_TOOL_CALL] },
  ...END,
}

export function answerSaid(api: Said, words: readonly string[]): Answerer {
  const plain = answerJson({ ...ABOUT, ...saying(api, words.join('')), ...END })
  const streamed = answerFrames(LINES, streamedLines(api, words))
  return (request, response) => (bodyOf(request).stream === false ? plain : streamed)(request, response)
}

export const EMBED_ANSWER = {
  model: REAL_MODEL,
  embeddings: [
    [0.5, -1, 0.25],
    [1, 0, -0.125],
  ],
  total_duration: 14_143_917,
  load_duration: 1_019_500,
  prompt_eval_count: 8,
}

export const DETAILS = {
  parent_model: '',
  format: 'gguf',
  family: 'llama',
  families: ['llama'],
  parameter_size: '3.2B',
  quantization_level: 'Q4_K_M',
}

/** What an Ollama server tells of one of its models. */
export function tagOf(name: string, size: number): object {
  return {
    name,
    model: name,
    modified_at: '2026-01-01T09:00:00Z',
    size,
    digest: `digest-of-${name}`,
    details: DETAILS,
  }
}

export const SHOWN = {
  license: 'none',
  modelfile: 'FROM llama3.2',
  parameters: 'stop "<|eot_id|>"',
  template: '{{ .Prompt }}',
  details: DETAILS,
  model_info: { 'general.architecture': 'llama', 'llama.context_length': 131_072 },
  capabilities: ['completion', 'tools'],
  modified_at: '2026-01-01T09:00:00Z',
}

export const PULLING = [
  { status: 'pulling manifest' },
  { status: 'pulling dde5aa3fc5ff', digest: 'sha256:dde5aa3fc5ff', total: 200, completed: 100 },
  { status: 'verifying sha256 digest' },
]

export interface OllamaHost {
  version: string
  tags?: readonly object[]
  running?: readonly object[]
}

/** What a server answers that is asked for its lists; anything else is not there. */
export function answerLists({ version, tags = [], running = [] }: OllamaHost): Answerer {
  const lists: Record<string, object> = {
    '/api/version': { version },
    '/api/tags': { models: tags },
    '/api/ps': { models: running },
  }
  return ({ path }: SeenRequest, response: ServerResponse) => {
    const list = lists[path]
    if (list === undefined) sendJson(response, { error: `${path} is not there` }, 404)
    else sendJson(response, list)
  }
}
