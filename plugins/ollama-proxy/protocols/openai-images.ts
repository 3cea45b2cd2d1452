import { OPENAI } from './openai.ts'
import { noDefaults, type Protocol } from './protocol.ts'

/** https://platform.openai.com/docs/api-reference/images-streaming */
const LAST_EVENT = /(?:^|\n)event: ?image_(?:generation|edit)\.completed\r?\ndata:[^\n]*\n/

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
  hasEnded: (tail) => OPENAI.hasEnded(tail) || LAST_EVENT.test(tail),
  defaultsFor: noDefaults,
}
