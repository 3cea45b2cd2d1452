import t from 'tap'
import { openaiResponses } from '../../../plugins/ollama-proxy/protocols/openai-responses.ts'
import { defaultsBeside, endsOf, endsOnlyAtItsEnd, tellsUsage, usageIn } from '../../support/protocol-units.ts'
import { RESPONSE_ID, responsesAnswers, TALK } from '../../support/real-answers.ts'

/** A response that is longer than what is kept of an answer. */
const LONG = `${TALK}${'word '.repeat(10_000)}`

t.test('the defaults that the API knows go under its own names', async (t) => {
  t.strictSame(defaultsBeside(openaiResponses, 'input'), { temperature: 0.5, top_p: 0.9, max_output_tokens: 100 })
})

t.test('each field of a request keeps its default away', async (t) => {
  t.strictSame(defaultsBeside(openaiResponses, 'max_output_tokens'), { temperature: 0.5, top_p: 0.9 })
  t.strictSame(defaultsBeside(openaiResponses, 'temperature'), { top_p: 0.9, max_output_tokens: 100 })
  t.strictSame(defaultsBeside(openaiResponses, 'top_p', 'temperature', 'max_output_tokens'), {})
})

t.test('usage is read from plain answers and from the last event of a stream, however long', async (t) => {
  for (const said of ['Soy sauce.', TALK, LONG]) {
    tellsUsage(t, openaiResponses, 'plain', responsesAnswers(said).plain)
    tellsUsage(t, openaiResponses, 'streamed', responsesAnswers(said).stream)
  }
})

t.test('the null usage of a response that is still made is none', async (t) => {
  t.equal(usageIn(openaiResponses, responsesAnswers(TALK).stream.frames.slice(0, -1).join('')), undefined)
})

t.test('a stream has ended at its last event, however long that is', async (t) => {
  for (const said of ['Soy sauce.', TALK, LONG])
    endsOnlyAtItsEnd(t, openaiResponses, responsesAnswers(said).stream.frames)
})

t.test('so has one of a response that failed or that is incomplete', async (t) => {
  for (const type of ['response.failed', 'response.incomplete']) {
    const frames = responsesAnswers().stream.frames.map((frame) => frame.replaceAll('response.completed', type))
    endsOnlyAtItsEnd(t, openaiResponses, frames)
  }
})

t.test('a long event in the midst of a stream is no end, whatever the client’s own tools are called', async (t) => {
  const usage = { type: 'object', properties: { output_tokens: { type: 'number' } } }
  const response = {
    id: RESPONSE_ID,
    usage: null,
    instructions: LONG,
    tools: [{ parameters: { properties: { usage } } }],
  }
  const event = JSON.stringify({ type: 'response.in_progress', response })
  t.notOk(openaiResponses.hasEnded(endsOf(`event: response.in_progress\ndata: ${event}\n\n`).tail))
})

const idIn = (text: string) => openaiResponses.readId?.(endsOf(text))

t.test('the response’s own id is found, plain and from the first event on', async (t) => {
  const { plain, stream } = responsesAnswers(LONG)
  t.equal(idIn(plain.text), RESPONSE_ID)
  t.equal(idIn(stream.frames[0] as string), RESPONSE_ID)
  t.equal(idIn(stream.frames.join('')), RESPONSE_ID)
})

t.test('it is found where a server puts it last', async (t) => {
  t.equal(idIn(JSON.stringify({ output: [{ id: 'msg_1', text: LONG }], id: 'resp_last' })), 'resp_last')
})

t.test('other servers’ ids are found, too', async (t) => {
  t.equal(idIn('{"id": "3f2b-1c.9:x", "output": [{"id": "msg_1"}]}'), '3f2b-1c.9:x')
})

t.test('an id that is only talked about, or another’s, is none', async (t) => {
  t.equal(idIn(JSON.stringify({ text: '{"id":"resp_decoy"}', previous_response_id: 'resp_before' })), undefined)
  t.equal(idIn(`{"id":"resp_${'x'.repeat(200)}"}`), undefined)
  t.equal(idIn('{"id":"a b","x":{"id":7}}'), undefined)
})

t.test('an error in the midst of a stream is an event of that name', async (t) => {
  const message = 'Alice broke off:\n\nevent: forged\r\n'
  const frame = openaiResponses.errorFrame({ statusCode: 502, code: 'PTL_PROXY_FAILED', message })
  const [, data = ''] = /^event: error\ndata: ([^\r\n]+)\n\n$/.exec(frame) ?? []
  const error = { message, type: 'server_error', param: null, code: 'PTL_PROXY_FAILED' }
  t.strictSame(JSON.parse(data), { type: 'error', code: 'PTL_PROXY_FAILED', message, param: null, error })
})
