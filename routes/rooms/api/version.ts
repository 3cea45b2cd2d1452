import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { inferenceErrors } from '../../../schemas/inference.ts'
import { Version } from '../../../schemas/ollama.ts'
import type { OllamaListOptions } from './index.ts'

const version: FastifyPluginAsyncTypebox<OllamaListOptions> = async (app, { params, hide }) => {
  const schema = {
    tags: ['Inference'],
    operationId: 'ollamaVersion',
    summary: "The version of Ollama that all of the room's servers have at least (Ollama)",
    hide,
    ...params,
    response: { 200: { ...Version, description: 'The version' }, ...inferenceErrors('ollama', 404) },
  }
  app.get('/api/version', { schema, config: { operation: 'listModels' } }, async ({ room }) => ({
    version: await app.ollamaProxy.lists.version(await app.roomStore.listParticipants(room.room.id)),
  }))
}

export default version
