import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../../schemas/errors.ts'
import { OneParticipant, ParticipantParams } from '../../../schemas/participant.ts'

const schema = {
  summary: 'Look at one participant',
  params: ParticipantParams,
  response: { 200: OneParticipant, 404: ErrorBody },
}

const get: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/participants/:id', { schema }, async ({ room, params }) => {
    const { participant } = await app.roomStore.getParticipant(room.room.id, params.id)
    return { participant }
  })
}

export default get
