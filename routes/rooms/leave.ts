import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { ParticipantParams } from '../../schemas/participant.ts'
import { Success } from '../../schemas/success.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'leaveRoom',
  security: [{ participant: [] }, {}],
  summary: 'Leave the room',
  description:
    'With the token that join returned. A client that never used one may leave from the address it joined from.',
  params: ParticipantParams,
  response: { 200: { ...Success, description: 'The participant has left' }, ...errors(400, 401, 403, 404, 413) },
}

const leave: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/leave/:id', { schema, config: { operation: 'leave' } }, async (request) => {
    await app.roomStore.leave(request.room.room.id, request.params.id, app.access.claimOf(request))
    return { success: true as const }
  })
}

export default leave
