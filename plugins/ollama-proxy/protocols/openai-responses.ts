import { numberAt, objectsBehind } from './json-tail.ts'
import { errorBody, OPENAI } from './openai.ts'
import { type AnswerEnds, defaultsBy, type Protocol } from './protocol.ts'

/** OpenAI's own ids, which most servers imitate; else the first id that there is: the response's own comes first. */
function readId({ head, tail }: AnswerEnds): string | undefined {
  const ids = [/(?<!\\)"id"\s*:\s*"(resp_[\w-]{1,120})"/, /(?<!\\)"id"\s*:\s*"(?!\.{1,2}")([\w.:-]{1,128})"/]
  return ids[0]?.exec(head)?.[1] ?? ids[0]?.exec(tail)?.[1] ?? ids[1]?.exec(head)?.[1]
}

/** The last event has the whole response in it and may be longer than what is kept; no other one tells usage. */
function hasEnded(tail: string): boolean {
  if (/(?:^|\n)event: ?response\.(?:completed|failed|incomplete)\r?\ndata:[^\n]*\n/.test(tail)) return true
  const line = tail.trimEnd()
  const isWhole = tail.includes('\n', line.length) && !line.includes('\n')
  return isWhole && objectsBehind(line, 'usage').some((usage) => numberAt(usage, 'output_tokens') !== undefined)
}

const QUERY = ['after', 'before', 'include', 'include[]', 'limit', 'order', 'starting_after', 'stream']

/** https://platform.openai.com/docs/api-reference/responses */
export const openaiResponses: Protocol = {
  ...OPENAI,
  name: 'openai-responses',
  promptFields: ['tools', 'instructions', 'input'],
  endpoints: [
    {
      method: 'POST',
      path: '/v1/responses',
      operationId: 'createResponse',
      summary: "Ask a model by OpenAI's newer API, streamed or not (OpenAI)",
      examples: [{ model: 'llama3.2:3b', input: 'What goes well with rice?' }],
      body: 'json',
    },
    {
      method: 'GET',
      path: '/v1/responses/:id',
      operationId: 'getResponse',
      summary: 'Read a response again, from who made it (OpenAI)',
      body: 'none',
      query: QUERY,
      isQuiet: true,
      goesToMaker: true,
    },
    {
      method: 'DELETE',
      path: '/v1/responses/:id',
      operationId: 'deleteResponse',
      summary: 'Delete a response, where it was made (OpenAI)',
      body: 'none',
      query: QUERY,
      isQuiet: true,
      goesToMaker: true,
    },
    {
      method: 'POST',
      path: '/v1/responses/:id/cancel',
      operationId: 'cancelResponse',
      summary: 'Cancel a response that is made in the background (OpenAI)',
      body: 'none',
      query: QUERY,
      isQuiet: true,
      goesToMaker: true,
    },
    {
      method: 'GET',
      path: '/v1/responses/:id/input_items',
      operationId: 'listInputItems',
      summary: 'Read what a response was made from (OpenAI)',
      body: 'none',
      query: QUERY,
      isQuiet: true,
      goesToMaker: true,
    },
  ],
  continuesBy: 'previous_response_id',
  readId,
  defaultsFor: defaultsBy({
    temperature: ['temperature'],
    top_p: ['top_p'],
    max_tokens: ['max_output_tokens'],
  }),
  // https://platform.openai.com/docs/api-reference/responses-streaming/error
  errorFrame(error) {
    const { error: body } = errorBody(error)
    const { message, code, param } = body
    // Python's client raises the words of a nested error alone, as chat completions have it.
    return `event: error\ndata: ${JSON.stringify({ type: 'error', code, message, param, error: body })}\n\n`
  },
  hasEnded,
}
