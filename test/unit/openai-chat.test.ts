import t from 'tap'
import { openaiChat } from '../../plugins/ollama-proxy/protocols/openai-chat.ts'
import type { GenerationConfig } from '../../schemas/participant.ts'

const CONFIG: GenerationConfig = {
  temperature: 0.5,
  top_p: 0.9,
  max_tokens: 100,
  stop: ['\n'],
  frequency_penalty: 0.1,
  presence_penalty: 0.2,
  seed: 7,
}

/** The defaults for a request that has those fields. */
function defaultsBeside(...fields: string[]): Record<string, unknown> {
  return Object.fromEntries(openaiChat.defaultsFor(CONFIG, (field) => fields.includes(field)))
}

t.test('a silent request gets every default, under the same names', async (t) => {
  t.strictSame(defaultsBeside('model', 'messages'), CONFIG)
})

t.test('a field of the request stands for itself', async (t) => {
  const { temperature: _, seed: __, ...rest } = CONFIG
  t.strictSame(defaultsBeside('temperature', 'seed'), rest)
})

t.test('either of OpenAI’s two limits on tokens is one', async (t) => {
  t.notOk('max_tokens' in defaultsBeside('max_completion_tokens'))
  t.notOk('max_tokens' in defaultsBeside('max_tokens'))
  t.equal(defaultsBeside('top_p').max_tokens, 100)
})

t.test('no defaults add nothing', async (t) => {
  t.equal(openaiChat.defaultsFor({}, () => false).size, 0)
})

const failure = (statusCode: number, code = 'PTL_X') => ({ statusCode, code, message: 'What to do' })

t.test('an error has the shape that OpenAI’s clients parse', async (t) => {
  t.strictSame(openaiChat.errorBody(failure(400)), {
    error: { message: 'What to do', type: 'invalid_request_error', param: null, code: 'PTL_X' },
  })
})

t.test('an error’s type follows its status', async (t) => {
  const types = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'invalid_request_error',
    429: 'rate_limit_error',
    500: 'server_error',
    502: 'server_error',
    503: 'server_error',
  }
  for (const [status, type] of Object.entries(types)) {
    t.match(openaiChat.errorBody(failure(Number(status))), { error: { type } }, status)
  }
})

t.test('a model that nobody has is what OpenAI calls it', async (t) => {
  t.match(openaiChat.errorBody(failure(404, 'PTL_NO_PARTICIPANT')), {
    error: { code: 'model_not_found', param: 'model' },
  })
})

t.test('an error in the midst of a stream is one frame', async (t) => {
  const message = 'Alice broke off:\n\ndata: {"forged":1}\r\n'
  const frame = openaiChat.errorFrame({ ...failure(502), message })
  t.match(frame, /^data: [^\r\n]+\n\n$/)
  t.match(JSON.parse(frame.slice(6)), { error: { message, type: 'server_error' } })
})

const usageIn = (tail: string) => openaiChat.readUsage({ head: '', tail })

t.test('usage is read from the end of an answer, streamed or not', async (t) => {
  const usage =
    '"usage": {"prompt_tokens": 3, "completion_tokens": 4, "completion_tokens_details": {"reasoning_tokens": 1}}'
  const expected = { inputTokens: 3, outputTokens: 4 }
  t.strictSame(usageIn(`ent":"x"}],${usage}}`), expected)
  t.strictSame(usageIn(`data: {${usage}}\n\ndata: [DONE]\n\n`), expected)
  t.equal(usageIn('data: [DONE]\n\n'), undefined)
})

t.test('it goes to the path that every OpenAI-compatible server has', async (t) => {
  t.match(openaiChat, { name: 'openai-chat', endpoints: [{ method: 'POST', path: '/v1/chat/completions' }] })
})
