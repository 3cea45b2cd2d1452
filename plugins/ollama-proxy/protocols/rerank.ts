import { OPENAI } from './openai.ts'
import { noDefaults, type Protocol } from './protocol.ts'

/** https://docs.cohere.com/reference/rerank, as llama.cpp, vLLM and LocalAI serve it beside OpenAI's APIs. */
export const rerank: Protocol = {
  ...OPENAI,
  name: 'rerank',
  endpoints: [
    {
      method: 'POST',
      path: '/v1/rerank',
      operationId: 'rerank',
      summary: 'Order documents by how well they answer a query',
      examples: [{ model: '*', query: 'What goes well with rice?', documents: ['beans', 'gravel'] }],
      body: 'json',
    },
  ],
  generates: false,
  defaultsFor: noDefaults,
}
