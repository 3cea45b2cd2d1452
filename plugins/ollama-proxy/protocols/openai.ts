import { numberAt, objectsBehind } from './json-tail.ts'
import { type AnswerEnds, isTooLong, type Protocol, type ProtocolError, type Usage } from './protocol.ts'

/** What all of OpenAI's APIs have in common. */

const ERROR_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [429, 'rate_limit_error'],
])

export function errorTypeOf(statusCode: number): string {
  return ERROR_TYPES.get(statusCode) ?? (statusCode < 500 ? 'invalid_request_error' : 'server_error')
}

/** https://platform.openai.com/docs/guides/error-codes; `code` is what SDKs show and people search for. */
export function errorBody({ statusCode, code, message }: ProtocolError) {
  const isModel = code === 'PTL_NO_PARTICIPANT'
  const error = {
    message,
    type: errorTypeOf(statusCode),
    param: isModel ? 'model' : null,
    code: isModel ? 'model_not_found' : code,
  }
  return { error }
}

/** Counts under either of OpenAI's names; of embeddings and rankings the input is all there is. */
function usageOf(usage: Record<string, unknown>): Usage | undefined {
  const inputTokens = numberAt(usage, 'prompt_tokens') ?? numberAt(usage, 'input_tokens')
  const outputTokens = numberAt(usage, 'completion_tokens') ?? numberAt(usage, 'output_tokens')
  if (inputTokens === undefined) return undefined
  if (outputTokens !== undefined) return { inputTokens, outputTokens }
  return numberAt(usage, 'total_tokens') === inputTokens ? { inputTokens, outputTokens: 0 } : undefined
}

/** llama.cpp counts in `timings` also where the client did not ask for `usage`. */
function fromTimings(tail: string): Usage | undefined {
  const timings = objectsBehind(tail, 'timings').at(-1)
  if (timings === undefined) return undefined
  const outputTokens = numberAt(timings, 'predicted_n')
  const prompt = numberAt(timings, 'prompt_n')
  if (outputTokens === undefined || prompt === undefined) return undefined
  return { inputTokens: prompt + (numberAt(timings, 'cache_n') ?? 0), outputTokens }
}

function lastUsage(text: string): Usage | undefined {
  for (const object of objectsBehind(text, 'usage').reverse()) {
    const usage = usageOf(object)
    if (usage !== undefined) return usage
  }
  return undefined
}

/** At the end, as most servers have it; in front of the data, as llama.cpp has it for embeddings. */
function readUsage({ head, tail }: AnswerEnds): Usage | undefined {
  return lastUsage(tail) ?? fromTimings(tail) ?? lastUsage(head)
}

/** What each of OpenAI's protocols begins with. */
export const OPENAI = {
  modelFields: ['model'],
  streamType: 'text/event-stream',
  isTooLong,
  errorShape: 'openai',
  errorBody,
  errorFrame: (error) => `data: ${JSON.stringify(errorBody(error))}\n\n`,
  // A comment: WHATWG EventSource §9.2.5.
  keepAliveFrame: ': \n\n',
  hasEnded: (tail) => /(?:^|\n)data: ?\[DONE\]\r?\n/.test(tail),
  readUsage,
} as const satisfies Partial<Protocol>
