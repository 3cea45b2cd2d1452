import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { MeasuredParticipant } from '../../../schemas/participant.ts'
import { RoomParams } from '../../../schemas/room.ts'
import { measured } from './measured.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'listParticipants',
  summary: 'List the participants in the order of joining',
  params: RoomParams,
  response: {
    200: Type.Object(
      { participants: Type.Array(MeasuredParticipant) },
      { description: 'All participants, also those who are away' },
    ),
    ...errors(404),
  },
}

const participants: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/participants', { schema, config: { operation: 'listParticipants' } }, async ({ room }) => {
    const records = await app.roomStore.listParticipants(room.room.id)
    return { participants: records.map((record) => measured(app, record)) }
  })
}

export default participants
