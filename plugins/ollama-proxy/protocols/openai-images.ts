import { OPENAI } from './openai.ts'
import { noDefaults, type Protocol } from './protocol.ts'

/** https://platform.openai.com/docs/api-reference/images */
export const openaiImages: Protocol = {
  ...OPENAI,
  name: 'openai-images',
  endpoints: [
    {
      method: 'POST',
      path: '/v1/images/generations',
      operationId: 'createImage',
      summary: 'Make images from a description (OpenAI)',
      examples: [{ model: '*', prompt: 'A bowl of rice' }],
      body: 'any',
    },
    {
      method: 'POST',
      path: '/v1/images/edits',
      operationId: 'createImageEdit',
      summary: 'Change an image (OpenAI)',
      body: 'any',
    },
    {
      method: 'POST',
      path: '/v1/images/variations',
      operationId: 'createImageVariation',
      summary: 'Make variations of an image (OpenAI)',
      body: 'any',
    },
  ],
  generates: false,
  defaultsFor: noDefaults,
}
