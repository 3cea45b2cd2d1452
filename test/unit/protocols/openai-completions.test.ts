import t from 'tap'
import { openaiCompletions } from '../../../plugins/ollama-proxy/protocols/openai-completions.ts'
import { defaultsBeside, endsOnlyAtItsEnd, FULL_CONFIG, tellsUsage } from '../../support/protocol-units.ts'
import { completionAnswers, TALK } from '../../support/real-answers.ts'

t.test('every default goes under its own name', async (t) => {
  t.strictSame(defaultsBeside(openaiCompletions, 'model', 'prompt'), FULL_CONFIG)
})

t.test('each field of a request keeps its default away, and no other one', async (t) => {
  for (const field of Object.keys(FULL_CONFIG)) {
    const { [field as keyof typeof FULL_CONFIG]: _, ...others } = FULL_CONFIG
    t.strictSame(defaultsBeside(openaiCompletions, field), others, field)
  }
})

t.test('usage is read from plain answers and from streams', async (t) => {
  for (const said of [' beans.', TALK]) {
    tellsUsage(t, openaiCompletions, 'plain', completionAnswers(said).plain)
    tellsUsage(t, openaiCompletions, 'streamed', completionAnswers(said).stream)
  }
})

t.test('a stream has ended at its last frame', async (t) => {
  endsOnlyAtItsEnd(t, openaiCompletions, completionAnswers(TALK).stream.frames)
})
