import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { ParticipantParams } from '../../../schemas/participant.ts'
import { Success } from '../../../schemas/success.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'removeParticipant',
  summary: 'Remove a participant (host)',
  params: ParticipantParams,
  response: { 200: { ...Success, description: 'The participant is removed' }, ...errors(400, 401, 403, 404, 413) },
}

const remove: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/participants/:id', { schema, config: { operation: 'removeParticipant' } }, async (request) => {
    await app.roomStore.removeParticipant(request.room.room.id, request.params.id)
    return { success: true as const }
  })
}

export default remove
