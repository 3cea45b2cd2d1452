import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { inferenceErrors } from '../../../schemas/inference.ts'
import { TagList } from '../../../schemas/ollama.ts'
import type { OllamaListOptions } from './index.ts'

const tags: FastifyPluginAsyncTypebox<OllamaListOptions> = async (app, { params, hide }) => {
  const schema = {
    tags: ['Inference'],
    operationId: 'ollamaTags',
    summary: 'List the models on offer, with what their servers tell of them (Ollama)',
    hide,
    ...params,
    response: { 200: { ...TagList, description: 'Each model once' }, ...inferenceErrors('ollama', 404) },
  }
  app.get('/api/tags', { schema, config: { operation: 'listModels' } }, async ({ room }) => ({
    models: await app.ollamaProxy.lists.tags(await app.roomStore.listParticipants(room.room.id)),
  }))
}

export default tags
