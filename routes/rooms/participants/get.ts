import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { OneParticipant, ParticipantParams } from '../../../schemas/participant.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'getParticipant',
  summary: 'Look at one participant',
  params: ParticipantParams,
  response: { 200: { ...OneParticipant, description: 'The participant' }, ...errors(404) },
}

const get: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/participants/:id', { schema, config: { operation: 'getParticipant' } }, async ({ room, params }) => {
    const { participant } = await app.roomStore.getParticipant(room.room.id, params.id)
    return { participant }
  })
}

export default get
