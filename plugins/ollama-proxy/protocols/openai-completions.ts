import { OPENAI } from './openai.ts'
import { defaultsBy, type Protocol } from './protocol.ts'

/** https://platform.openai.com/docs/api-reference/completions/create, which editors complete code with. */
export const openaiCompletions: Protocol = {
  ...OPENAI,
  name: 'openai-completions',
  promptFields: ['prompt'],
  endpoints: [
    {
      method: 'POST',
      path: '/v1/completions',
      operationId: 'createCompletion',
      summary: 'Complete a text, streamed or not (OpenAI)',
      examples: [{ model: 'llama3.2:3b', prompt: 'Rice goes well with' }],
      body: 'json',
    },
  ],
  defaultsFor: defaultsBy({
    temperature: ['temperature'],
    top_p: ['top_p'],
    max_tokens: ['max_tokens'],
    stop: ['stop'],
    frequency_penalty: ['frequency_penalty'],
    presence_penalty: ['presence_penalty'],
    seed: ['seed'],
  }),
}
