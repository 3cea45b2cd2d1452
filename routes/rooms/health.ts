import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { HeartbeatBody } from '../../schemas/participant.ts'
import { RoomParams } from '../../schemas/room.ts'
import { Success } from '../../schemas/success.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'heartbeat',
  security: [{ participant: [] }, {}],
  summary: "A participant's heartbeat, each 10 s",
  params: RoomParams,
  body: HeartbeatBody,
  response: { 200: { ...Success, description: 'The participant is online' }, ...errors(400, 401, 403, 404, 413) },
}

const health: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/health', { schema, config: { operation: 'heartbeat' } }, async (request) => {
    const claim = app.access.claimOf(request)
    await app.roomStore.heartbeat(request.room.room.id, request.body.id, claim, app.clock.now())
    return { success: true as const }
  })
}

export default health
