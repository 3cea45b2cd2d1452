import t from 'tap'
import { anthropicMessages } from '../../../plugins/ollama-proxy/protocols/anthropic-messages.ts'
import { defaultsBeside, endsOnlyAtItsEnd, tellsUsage, usageIn } from '../../support/protocol-units.ts'
import { anthropicAnswers, TALK } from '../../support/real-answers.ts'

const LONG = `${TALK}${'é'.repeat(20_000)}`

t.test('the defaults that the API knows go under its own names', async (t) => {
  const expected = { temperature: 0.5, top_p: 0.9, max_tokens: 100, stop_sequences: ['\n', 'END'] }
  t.strictSame(defaultsBeside(anthropicMessages, 'model', 'messages'), expected)
  // That is OpenAI's name: here it means nothing.
  t.strictSame(defaultsBeside(anthropicMessages, 'stop'), expected)
})

t.test('each field of a request keeps its default away', async (t) => {
  for (const field of ['temperature', 'top_p', 'max_tokens', 'stop_sequences']) {
    const beside = defaultsBeside(anthropicMessages, field)
    t.notOk(field in beside, field)
    t.equal(Object.keys(beside).length, 3, field)
  }
})

t.test('usage is read from plain answers and from both ends of a stream, what was cached included', async (t) => {
  for (const said of ['Soy sauce.', TALK, LONG]) {
    tellsUsage(t, anthropicMessages, 'plain', anthropicAnswers(said).plain)
    tellsUsage(t, anthropicMessages, 'streamed', anthropicAnswers(said).stream)
  }
})

t.test('a last count of the input counts more than the first', async (t) => {
  const start = 'event: message_start\ndata: {"message":{"usage":{"input_tokens":0,"output_tokens":0}}}\n\n'
  const delta = 'event: message_delta\ndata: {"usage":{"input_tokens":12,"output_tokens":34}}\n\n'
  t.strictSame(usageIn(anthropicMessages, `${start}${delta}`), { inputTokens: 12, outputTokens: 34 })
})

t.test('counts that are null are none', async (t) => {
  const usage = '{"input_tokens":9,"output_tokens":4,"cache_creation_input_tokens":null,"cache_read_input_tokens":null}'
  t.strictSame(usageIn(anthropicMessages, `{"usage":${usage}}`), { inputTokens: 9, outputTokens: 4 })
  t.equal(usageIn(anthropicMessages, '{"usage":{"input_tokens":9}}'), undefined)
  t.equal(usageIn(anthropicMessages, '{"usage":{"output_tokens":9}}'), undefined)
})

t.test('what a tool is called with is no usage', async (t) => {
  const input = { usage: { input_tokens: 999, output_tokens: 999 } }
  const content = [{ type: 'tool_use', id: 'toolu_1', name: 'count', input }]
  const text = JSON.stringify({ content, usage: { input_tokens: 9, output_tokens: 4 } })
  t.strictSame(usageIn(anthropicMessages, text), { inputTokens: 9, outputTokens: 4 })
})

t.test('a stream has ended at its last event', async (t) => {
  for (const said of ['Soy sauce.', TALK]) endsOnlyAtItsEnd(t, anthropicMessages, anthropicAnswers(said).stream.frames)
})

const failure = (statusCode: number) => ({ statusCode, code: 'PTL_X', message: 'What to do' })

t.test('an error has the shape and the type that Anthropic’s clients parse', async (t) => {
  const types = {
    400: 'invalid_request_error',
    401: 'authentication_error',
    403: 'permission_error',
    404: 'not_found_error',
    413: 'request_too_large',
    429: 'rate_limit_error',
    500: 'api_error',
    502: 'api_error',
    503: 'overloaded_error',
    508: 'api_error',
  }
  for (const [status, type] of Object.entries(types)) {
    const expected = { type: 'error', error: { type, message: 'What to do' } }
    t.strictSame(anthropicMessages.errorBody(failure(Number(status))), expected, status)
  }
})

t.test('an error in the midst of a stream is an event of that name', async (t) => {
  const message = 'Alice broke off:\n\nevent: forged\r\n'
  const frame = anthropicMessages.errorFrame({ ...failure(502), message })
  const [, data = ''] = /^event: error\ndata: ([^\r\n]+)\n\n$/.exec(frame) ?? []
  t.strictSame(JSON.parse(data), { type: 'error', error: { type: 'api_error', message } })
})

t.test('Anthropic’s clients are known by their version header', async (t) => {
  t.ok(anthropicMessages.recognises?.({ 'anthropic-version': '2023-06-01' }))
  t.notOk(anthropicMessages.recognises?.({ 'x-api-key': 'x' }))
})
