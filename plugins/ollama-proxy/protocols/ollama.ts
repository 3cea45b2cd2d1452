import { lastNumberBehind } from './json-tail.ts'
import {
  type AnswerEnds,
  defaultsBy,
  type Endpoint,
  isTooLong,
  noDefaults,
  type Protocol,
  type Usage,
} from './protocol.ts'

/** https://github.com/ollama/ollama/blob/main/docs/api.md */

/** The last object of an answer counts; of embeddings the input is all there is. */
function readUsage({ tail }: AnswerEnds): Usage | undefined {
  // A model was loaded or unloaded: nothing was asked, and nothing is counted.
  if (/(?<!\\)"done_reason"\s*:\s*"(?:un)?load"/.test(tail)) return { inputTokens: 0, outputTokens: 0 }
  const outputTokens = lastNumberBehind(tail, 'eval_count')
  // Absent where the whole prompt was in the cache.
  const inputTokens = lastNumberBehind(tail, 'prompt_eval_count')
  if (outputTokens === undefined && inputTokens === undefined) return undefined
  return { inputTokens: inputTokens ?? 0, outputTokens: outputTokens ?? 0 }
}

/** The last line of a stream that is whole. */
function lastLine(tail: string): string | undefined {
  const text = tail.trimEnd()
  return tail.includes('\n', text.length) ? text.slice(text.lastIndexOf('\n') + 1) : undefined
}

function parsed(line: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The context of a generated text may make the last line longer than what is kept of it: no other one tells the times. */
function hasEnded(tail: string): boolean {
  const line = lastLine(tail)
  const object = parsed(line)
  if (object !== undefined) return object.done === true
  return line === tail.trimEnd() && /(?<!\\)"total_duration"\s*:\s*\d/.test(line)
}

/** Streams are lines of JSON, and unless a request says otherwise everything is streamed. */
const OLLAMA = {
  // `name` is how older clients say it.
  modelFields: ['model', 'name'],
  streamsBySilence: true,
  streamType: 'application/x-ndjson',
  isTooLong,
  errorShape: 'ollama',
  errorBody: ({ message }) => ({ error: message }),
  errorFrame: ({ message }) => `${JSON.stringify({ error: message })}\n`,
  hasEnded,
  readUsage,
} as const satisfies Partial<Protocol>

const OPTIONS = {
  defaultsWithin: 'options',
  defaultsFor: defaultsBy({
    temperature: ['temperature'],
    top_p: ['top_p'],
    max_tokens: ['num_predict'],
    stop: ['stop'],
    frequency_penalty: ['frequency_penalty'],
    presence_penalty: ['presence_penalty'],
    seed: ['seed'],
  }),
} as const

const ollamaChat: Protocol = {
  ...OLLAMA,
  ...OPTIONS,
  name: 'ollama-chat',
  promptFields: ['tools', 'messages'],
  endpoints: [
    {
      method: 'POST',
      path: '/api/chat',
      operationId: 'ollamaChat',
      summary: 'Chat with a model of the room, streamed unless `stream` is false (Ollama)',
      examples: [{ model: 'llama3.2:3b', messages: [{ role: 'user', content: 'What goes well with rice?' }] }],
      body: 'json',
    },
  ],
}

const ollamaGenerate: Protocol = {
  ...OLLAMA,
  ...OPTIONS,
  name: 'ollama-generate',
  promptFields: ['system', 'prompt'],
  endpoints: [
    {
      method: 'POST',
      path: '/api/generate',
      operationId: 'ollamaGenerate',
      summary: 'Complete a text, streamed unless `stream` is false (Ollama)',
      examples: [{ model: 'llama3.2:3b', prompt: 'Rice goes well with' }],
      body: 'json',
    },
  ],
}

const ollamaEmbed: Protocol = {
  ...OLLAMA,
  name: 'ollama-embed',
  endpoints: [
    {
      method: 'POST',
      path: '/api/embed',
      operationId: 'ollamaEmbed',
      summary: 'Turn texts into vectors (Ollama)',
      examples: [{ model: '*', input: ['rice', 'noodles'] }],
      body: 'json',
    },
    {
      method: 'POST',
      path: '/api/embeddings',
      operationId: 'ollamaEmbeddings',
      summary: 'Turn a text into a vector, as older clients ask for it (Ollama)',
      examples: [{ model: '*', prompt: 'rice' }],
      body: 'json',
    },
  ],
  streamsBySilence: false,
  embeds: true,
  generates: false,
  defaultsFor: noDefaults,
}

function managing(method: Endpoint['method'], path: string, summary: string, example: object): Endpoint {
  const examples = [example]
  const name = path.slice('/api/'.length)
  const operationId = `ollama${name.charAt(0).toUpperCase()}${name.slice(1)}`
  return {
    method,
    path,
    operationId,
    summary: `${summary} (Ollama)`,
    examples,
    body: 'json',
    isQuiet: true,
    manages: true,
  }
}

/** What is known of models, and the changing of it. */
const ollamaModels: Protocol = {
  ...OLLAMA,
  name: 'ollama-models',
  endpoints: [
    {
      method: 'POST',
      path: '/api/show',
      operationId: 'ollamaShow',
      summary: 'Look at a model (Ollama)',
      examples: [{ model: 'llama3.2:3b' }],
      body: 'json',
      isQuiet: true,
    },
    managing('POST', '/api/pull', 'Have a participant fetch a model, where it allowed that', { model: 'llama3.2:3b' }),
    managing('POST', '/api/push', 'Have a participant upload a model, where it allowed that', {
      model: 'alice/kitchen',
    }),
    managing('POST', '/api/create', 'Have a participant create a model, where it allowed that', {
      model: 'kitchen',
      from: 'llama3.2:3b',
      system: 'You are a cook.',
    }),
    managing('POST', '/api/copy', 'Have a participant copy a model, where it allowed that', {
      source: 'llama3.2:3b',
      destination: 'kitchen',
    }),
    managing('DELETE', '/api/delete', 'Have a participant delete a model, where it allowed that', { model: 'kitchen' }),
  ],
  generates: false,
  defaultsFor: noDefaults,
  // Progress ends with a status of its own.
  hasEnded: (tail) => parsed(lastLine(tail))?.status === 'success',
}

export const ollamaProtocols: readonly Protocol[] = [ollamaChat, ollamaGenerate, ollamaEmbed, ollamaModels]
