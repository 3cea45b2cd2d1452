import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { inferenceErrors } from '../../../schemas/inference.ts'
import { RunningList } from '../../../schemas/ollama.ts'
import type { OllamaListOptions } from './index.ts'

const ps: FastifyPluginAsyncTypebox<OllamaListOptions> = async (app, { params, hide }) => {
  const schema = {
    tags: ['Inference'],
    operationId: 'ollamaPs',
    summary: 'List the models that are loaded, and where (Ollama)',
    hide,
    ...params,
    response: {
      200: { ...RunningList, description: 'One entry a model and machine' },
      ...inferenceErrors('ollama', 404),
    },
  }
  app.get('/api/ps', { schema, config: { operation: 'listModels' } }, async ({ room }) => ({
    models: await app.ollamaProxy.lists.running(await app.roomStore.listParticipants(room.room.id)),
  }))
}

export default ps
