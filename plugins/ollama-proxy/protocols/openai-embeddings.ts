import { OPENAI } from './openai.ts'
import { noDefaults, type Protocol } from './protocol.ts'

/** https://platform.openai.com/docs/api-reference/embeddings/create */
export const openaiEmbeddings: Protocol = {
  ...OPENAI,
  name: 'openai-embeddings',
  endpoints: [
    {
      method: 'POST',
      path: '/v1/embeddings',
      operationId: 'createEmbedding',
      summary: 'Turn texts into vectors (OpenAI)',
      examples: [{ model: '*', input: ['rice', 'noodles'] }],
      body: 'json',
    },
  ],
  embeds: true,
  generates: false,
  defaultsFor: noDefaults,
}
