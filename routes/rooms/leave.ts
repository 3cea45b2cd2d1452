import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../schemas/errors.ts'
import { ParticipantParams } from '../../schemas/participant.ts'
import { Success } from '../../schemas/success.ts'

const schema = {
  summary: 'Leave the room',
  params: ParticipantParams,
  response: { 200: Success, 401: ErrorBody, 404: ErrorBody },
}

const leave: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/leave/:id', { schema }, async (request) => {
    await app.roomStore.leave(request.room.room.id, request.params.id, app.access.claimOf(request))
    return { success: true as const }
  })
}

export default leave
