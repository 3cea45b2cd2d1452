import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { openAiErrors } from '../../../schemas/inference.ts'
import { listModels, ModelList } from '../../../schemas/models.ts'
import { RoomParams } from '../../../schemas/room.ts'

const schema = {
  tags: ['Inference'],
  operationId: 'listModels',
  summary: 'List what a request may name: models, then participants, then `*` for any (OpenAI)',
  params: RoomParams,
  response: { 200: { ...ModelList, description: 'What a request may name' }, ...openAiErrors(404) },
}

const models: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/models', { schema, config: { operation: 'listModels' } }, async ({ room }) => {
    const records = await app.roomStore.listParticipants(room.room.id)
    return listModels(records.map(({ participant }) => participant))
  })
}

export default models
