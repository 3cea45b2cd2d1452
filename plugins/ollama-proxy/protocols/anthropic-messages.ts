import { numberAt, objectsBehind } from './json-tail.ts'
import { type AnswerEnds, defaultsBy, isTooLong, type Protocol, type ProtocolError, type Usage } from './protocol.ts'

/** https://docs.anthropic.com/en/api/errors */
const ERROR_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [503, 'overloaded_error'],
])

function errorBody({ statusCode, message }: ProtocolError) {
  const type = ERROR_TYPES.get(statusCode) ?? (statusCode < 500 ? 'invalid_request_error' : 'api_error')
  return { type: 'error', error: { type, message } }
}

/** What was read from a cache was read all the same; Anthropic counts it apart. */
function inputOf(usage: Record<string, unknown>): number | undefined {
  const input = numberAt(usage, 'input_tokens')
  if (input === undefined) return undefined
  const created = numberAt(usage, 'cache_creation_input_tokens') ?? 0
  return input + created + (numberAt(usage, 'cache_read_input_tokens') ?? 0)
}

/** Streamed, the first event counts the input, and the last `message_delta` all that was put out. */
function readUsage({ head, tail }: AnswerEnds): Usage | undefined {
  const atEnd = objectsBehind(tail, 'usage').reverse()
  const outputTokens = atEnd.map((usage) => numberAt(usage, 'output_tokens')).find((count) => count !== undefined)
  const counts = [...atEnd, ...objectsBehind(head, 'usage')]
  const inputTokens = counts.map(inputOf).find((count) => count !== undefined)
  return outputTokens === undefined || inputTokens === undefined ? undefined : { inputTokens, outputTokens }
}

const SOUP = { messages: [{ role: 'user', content: 'What goes well with rice?' }] }

/** https://docs.anthropic.com/en/api/messages */
export const anthropicMessages: Protocol = {
  name: 'anthropic-messages',
  promptFields: ['tools', 'system', 'messages'],
  endpoints: [
    {
      method: 'POST',
      path: '/v1/messages',
      operationId: 'createMessage',
      summary: 'Chat with a model of the room, streamed or not (Anthropic)',
      examples: [{ model: 'llama3.2:3b', max_tokens: 200, ...SOUP }],
      body: 'json',
      query: ['beta'],
    },
    {
      method: 'POST',
      path: '/v1/messages/count_tokens',
      operationId: 'countTokens',
      summary: 'Count the tokens of a request (Anthropic)',
      examples: [{ model: 'llama3.2:3b', ...SOUP }],
      body: 'json',
      query: ['beta'],
      isQuiet: true,
    },
  ],
  modelFields: ['model'],
  streamType: 'text/event-stream',
  defaultsFor: defaultsBy({
    temperature: ['temperature'],
    top_p: ['top_p'],
    max_tokens: ['max_tokens'],
    stop: ['stop_sequences'],
  }),
  recognises: (headers) => headers['anthropic-version'] !== undefined,
  isTooLong,
  errorShape: 'anthropic',
  errorBody,
  // https://docs.anthropic.com/en/docs/build-with-claude/streaming#error-events
  errorFrame: (error) => `event: error\ndata: ${JSON.stringify(errorBody(error))}\n\n`,
  // https://docs.anthropic.com/en/docs/build-with-claude/streaming#ping-events
  keepAliveFrame: 'event: ping\ndata: {"type": "ping"}\n\n',
  hasEnded: (tail) => /(?:^|\n)event: ?message_stop\r?\ndata:[^\n]*\n/.test(tail),
  readUsage,
}
