import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { OneMeasuredParticipant, ParticipantParams } from '../../../schemas/participant.ts'
import { measured } from './measured.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'getParticipant',
  summary: 'Look at one participant',
  params: ParticipantParams,
  response: { 200: { ...OneMeasuredParticipant, description: 'The participant' }, ...errors(404) },
}

const get: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/participants/:id', { schema, config: { operation: 'getParticipant' } }, async ({ room, params }) => {
    const record = await app.roomStore.getParticipant(room.room.id, params.id)
    return { participant: measured(app, record), passedOver: app.ollamaProxy.passedOverOf(record) }
  })
}

export default get
