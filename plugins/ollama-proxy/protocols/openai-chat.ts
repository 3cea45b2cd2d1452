import { OPENAI } from './openai.ts'
import { defaultsBy, type Protocol } from './protocol.ts'

const SOUP = { messages: [{ role: 'user', content: 'What goes well with rice?' }] }

/** https://platform.openai.com/docs/api-reference/chat/create */
export const openaiChat: Protocol = {
  ...OPENAI,
  name: 'openai-chat',
  promptFields: ['tools', 'messages'],
  endpoints: [
    {
      method: 'POST',
      path: '/v1/chat/completions',
      operationId: 'createChatCompletion',
      summary: 'Chat with a model of the room, streamed or not (OpenAI)',
      examples: [
        { model: '*', ...SOUP, stream: true },
        { model: 'llama3.2:3b', ...SOUP },
      ],
      body: 'json',
    },
  ],
  defaultsFor: defaultsBy({
    temperature: ['temperature'],
    top_p: ['top_p'],
    // OpenAI names both of its limits for the same thing; either of them means that the request is not silent.
    max_tokens: ['max_tokens', 'max_completion_tokens'],
    stop: ['stop'],
    frequency_penalty: ['frequency_penalty'],
    presence_penalty: ['presence_penalty'],
    seed: ['seed'],
  }),
}
