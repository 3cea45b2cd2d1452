import t from 'tap'
import { ollamaProtocols } from '../../../plugins/ollama-proxy/protocols/ollama.ts'
import type { Protocol } from '../../../plugins/ollama-proxy/protocols/protocol.ts'
import {
  defaultsBeside,
  endsOf,
  endsOnlyAtItsEnd,
  FULL_CONFIG,
  tellsUsage,
  usageIn,
} from '../../support/protocol-units.ts'
import { OLLAMA_EMBED, ollamaChatAnswers, ollamaGenerateAnswers, TALK } from '../../support/real-answers.ts'

const named = (name: string) => ollamaProtocols.find((protocol) => protocol.name === name) as Protocol
const [chat, generate, embed, models] = ['ollama-chat', 'ollama-generate', 'ollama-embed', 'ollama-models'].map(
  named,
) as [Protocol, Protocol, Protocol, Protocol]

const { max_tokens: _, ...SAME_NAMES } = FULL_CONFIG
const OPTIONS = { ...SAME_NAMES, num_predict: 100 }

for (const protocol of [chat, generate]) {
  t.test(`the defaults of ${protocol.name} go into its options, under Ollama’s names`, async (t) => {
    t.equal(protocol.defaultsWithin, 'options')
    t.strictSame(defaultsBeside(protocol), OPTIONS)
    // That is OpenAI's name: here it means nothing.
    t.strictSame(defaultsBeside(protocol, 'max_tokens'), OPTIONS)
  })

  t.test(`each of the options of ${protocol.name} keeps its default away, and no other one`, async (t) => {
    for (const field of Object.keys(OPTIONS)) {
      const { [field as keyof typeof OPTIONS]: _, ...others } = OPTIONS
      t.strictSame(defaultsBeside(protocol, field), others, field)
    }
  })

  t.test(`${protocol.name} streams unless a request says otherwise, and may name its model in two ways`, async (t) => {
    t.ok(protocol.streamsBySilence)
    t.strictSame(protocol.modelFields, ['model', 'name'])
  })
}

t.test('what generates nothing gets no defaults', async (t) => {
  for (const protocol of [embed, models]) t.strictSame(defaultsBeside(protocol), {}, protocol.name)
})

t.test('usage is read from chats, plain and streamed', async (t) => {
  for (const said of ['Soy sauce.', TALK, `${TALK}${'é'.repeat(20_000)}`]) {
    tellsUsage(t, chat, 'plain', ollamaChatAnswers(said).plain)
    tellsUsage(t, chat, 'streamed', ollamaChatAnswers(said).stream)
  }
})

t.test('usage is read behind a context of any length', async (t) => {
  for (const tokens of [0, 1, 1000, 4000, 131_072]) {
    tellsUsage(t, generate, `${tokens} plain`, ollamaGenerateAnswers(TALK, tokens).plain)
    tellsUsage(t, generate, `${tokens} streamed`, ollamaGenerateAnswers(TALK, tokens).stream)
  }
})

t.test('of embeddings the input is counted', async (t) => {
  tellsUsage(t, embed, 'embed', OLLAMA_EMBED)
  t.equal(usageIn(embed, '{"embedding":[0.5,-1]}'), undefined)
})

t.test('a prompt that was wholly in the cache is not counted', async (t) => {
  t.strictSame(usageIn(chat, '{"done":true,"eval_count":3}\n'), { inputTokens: 0, outputTokens: 3 })
})

t.test('counts that can count nothing are none', async (t) => {
  for (const count of ['-1', '"7"', 'null', '12345678901', '1e3']) {
    const usage = usageIn(chat, `{"done":true,"eval_count":${count}}\n`)
    t.ok(usage === undefined || usage.outputTokens <= 1, `${count}: ${JSON.stringify(usage)}`)
  }
})

t.test('a stream has ended at its last line, however long that is', async (t) => {
  for (const said of ['Soy sauce.', TALK]) {
    endsOnlyAtItsEnd(t, chat, ollamaChatAnswers(said).stream.frames)
    for (const tokens of [0, 1000, 4000])
      endsOnlyAtItsEnd(t, generate, ollamaGenerateAnswers(said, tokens).stream.frames)
  }
})

t.test('a tool that is called with such words is no end', async (t) => {
  const call = { function: { name: 'set', arguments: { done: true, total_duration: 5, status: 'success' } } }
  const line = { message: { role: 'assistant', content: '', tool_calls: [call] }, done: false }
  t.notOk(chat.hasEnded(`${JSON.stringify(line)}\n`))
  t.notOk(models.hasEnded(`${JSON.stringify(line)}\n`))
  t.ok(chat.hasEnded(`${JSON.stringify({ ...line, done: true })}\n`))
})

t.test('a long line in the midst of a stream is no end', async (t) => {
  const line = JSON.stringify({ message: { role: 'assistant', content: `${TALK}${'x'.repeat(20_000)}` }, done: false })
  t.notOk(chat.hasEnded(endsOf(`${line}\n`).tail))
})

t.test('lines that are no objects are no end', async (t) => {
  for (const line of ['null', '7', '"done"', '[{"done":true}]', '', '}', '{"done":true']) {
    for (const protocol of [chat, models]) t.notOk(protocol.hasEnded(`${line}\n`), `${protocol.name} ${line}`)
  }
})

t.test('the fetching of a model has ended where it says so', async (t) => {
  const lines = [{ status: 'pulling manifest' }, { status: 'downloading', completed: 7 }, { status: 'success' }]
  endsOnlyAtItsEnd(
    t,
    models,
    lines.map((line) => `${JSON.stringify(line)}\n`),
  )
})

const failure = { statusCode: 502, code: 'PTL_PROXY_FAILED', message: 'Alice broke off:\n{"done":true}\n' }

t.test('an error is one sentence, and in a stream one line', async (t) => {
  for (const protocol of ollamaProtocols) {
    t.strictSame(protocol.errorBody(failure), { error: failure.message }, protocol.name)
    const frame = protocol.errorFrame(failure)
    t.match(frame, /^[^\n]+\n$/)
    t.strictSame(JSON.parse(frame), { error: failure.message }, protocol.name)
  }
})
