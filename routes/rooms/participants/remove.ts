import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../../schemas/errors.ts'
import { ParticipantParams } from '../../../schemas/participant.ts'
import { Success } from '../../../schemas/success.ts'

const schema = {
  summary: 'Remove a participant (host)',
  params: ParticipantParams,
  response: { 200: Success, 401: ErrorBody, 403: ErrorBody, 404: ErrorBody },
}

const remove: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/participants/:id', { schema }, async (request) => {
    await app.access.requireHost(request)
    await app.roomStore.removeParticipant(request.room.room.id, request.params.id)
    return { success: true as const }
  })
}

export default remove
