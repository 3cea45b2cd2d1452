import t from 'tap'
import { openaiChat } from '../../../plugins/ollama-proxy/protocols/openai-chat.ts'
import { defaultsBeside, endsOnlyAtItsEnd, FULL_CONFIG, tellsUsage, usageIn } from '../../support/protocol-units.ts'
import { llamaCppChatAnswers, openaiChatAnswers, TALK, vllmChatAnswers } from '../../support/real-answers.ts'

const SERVERS = { OpenAI: openaiChatAnswers, 'llama.cpp': llamaCppChatAnswers, vLLM: vllmChatAnswers }

t.test('every default goes under its own name', async (t) => {
  t.strictSame(defaultsBeside(openaiChat, 'model', 'messages'), FULL_CONFIG)
})

t.test('each field of a request keeps its default away, and no other one', async (t) => {
  for (const field of Object.keys(FULL_CONFIG)) {
    const { [field as keyof typeof FULL_CONFIG]: _, ...others } = FULL_CONFIG
    t.strictSame(defaultsBeside(openaiChat, field), others, field)
  }
})

t.test('the newer name of the limit keeps the older one away', async (t) => {
  const { max_tokens: _, ...others } = FULL_CONFIG
  t.strictSame(defaultsBeside(openaiChat, 'max_completion_tokens'), others)
})

for (const [server, answers] of Object.entries(SERVERS)) {
  t.test(`usage is read as ${server} tells it`, async (t) => {
    for (const said of ['Soy sauce.', TALK, `${TALK}${'é'.repeat(20_000)}`]) {
      const { plain, stream } = answers(said)
      tellsUsage(t, openaiChat, 'plain', plain)
      tellsUsage(t, openaiChat, 'streamed', stream)
    }
  })

  t.test(`a stream of ${server} has ended at its last frame`, async (t) => {
    endsOnlyAtItsEnd(t, openaiChat, answers().stream.frames)
    endsOnlyAtItsEnd(t, openaiChat, answers(TALK).stream.frames)
  })
}

t.test('a stream that tells no usage tells none, whatever is said in it', async (t) => {
  const frames = openaiChatAnswers(TALK).stream.frames.filter((frame) => !frame.includes('"prompt_tokens":1117'))
  t.equal(usageIn(openaiChat, frames.join('')), undefined)
})

t.test('the end of a stream may be written without the space', async (t) => {
  t.ok(openaiChat.hasEnded('data: {}\n\ndata:[DONE]\n\n'))
  t.notOk(openaiChat.hasEnded('data: {"x":"data: [DONE]"}\n\n'))
  t.notOk(openaiChat.hasEnded('xdata: [DONE]\n\n'))
})
