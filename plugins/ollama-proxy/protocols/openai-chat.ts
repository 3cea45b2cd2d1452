import type { GenerationConfig } from '../../../schemas/participant.ts'
import { numberAt, objectsBehind } from './json-tail.ts'
import type { Protocol, ProtocolError, Usage } from './protocol.ts'

/** OpenAI names both of its limits for the same thing; either of them means that the request is not silent. */
const OTHER_NAMES: Partial<Record<keyof GenerationConfig, string>> = { max_tokens: 'max_completion_tokens' }

const ERROR_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [429, 'rate_limit_error'],
])

function typeOf(statusCode: number): string {
  return ERROR_TYPES.get(statusCode) ?? (statusCode < 500 ? 'invalid_request_error' : 'server_error')
}

/** https://platform.openai.com/docs/guides/error-codes; `code` is what SDKs show and people search for. */
function errorBody({ statusCode, code, message }: ProtocolError): object {
  const isModel = code === 'PTL_NO_PARTICIPANT'
  const error = {
    message,
    type: typeOf(statusCode),
    param: isModel ? 'model' : null,
    code: isModel ? 'model_not_found' : code,
  }
  return { error }
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

function fromUsage(tail: string): Usage | undefined {
  for (const usage of objectsBehind(tail, 'usage').reverse()) {
    const inputTokens = numberAt(usage, 'prompt_tokens')
    const outputTokens = numberAt(usage, 'completion_tokens')
    if (inputTokens !== undefined && outputTokens !== undefined) return { inputTokens, outputTokens }
  }
  return undefined
}

/** `POST /v1/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create */
export const openaiChat: Protocol = {
  name: 'openai-chat',
  path: '/v1/chat/completions',

  defaultsFor(config, has) {
    const fields = new Map<string, unknown>()
    for (const [key, value] of Object.entries(config) as [keyof GenerationConfig, unknown][]) {
      const otherName = OTHER_NAMES[key]
      if (!has(key) && !(otherName !== undefined && has(otherName))) fields.set(key, value)
    }
    return fields
  },

  errorBody,
  errorFrame: (error) => `data: ${JSON.stringify(errorBody(error))}\n\n`,
  readUsage: (tail) => fromUsage(tail) ?? fromTimings(tail),
}
