import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { inferenceErrors } from '../../../schemas/inference.ts'
import { listModels, ModelList } from '../../../schemas/model-list.ts'
import type { InferenceRoute } from '../inference.ts'

const models: FastifyPluginAsyncTypebox<InferenceRoute> = async (app, { params, hide }) => {
  const schema = {
    tags: ['Inference'],
    operationId: 'listModels',
    summary: 'List what a request may name: models, then aliases, then participants, then `*` for any (OpenAI)',
    hide,
    ...params,
    response: { 200: { ...ModelList, description: 'What a request may name' }, ...inferenceErrors('openai', 404) },
  }
  app.get('/v1/models', { schema, config: { operation: 'listModels' } }, async ({ room }) => {
    const records = await app.roomStore.listParticipants(room.room.id)
    return listModels(
      records.map(({ participant }) => participant),
      room.aliases,
    )
  })
}

export default models
