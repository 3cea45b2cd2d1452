import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { RoomParams } from '../../schemas/room.ts'
import { Success } from '../../schemas/success.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'closeRoom',
  summary: 'Close a room (host)',
  description: 'Its event streams end behind `room:closed`; requests in flight may finish within the grace period.',
  params: RoomParams,
  response: { 200: { ...Success, description: 'The room is closed' }, ...errors(400, 401, 403, 404, 413) },
}

const close: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/', { schema, config: { operation: 'closeRoom' } }, async (request) => {
    const keys = await app.roomStore.listKeys(request.room.room.id)
    const { room } = await app.roomStore.closeRoom(request.room.room.id)
    for (const { id } of keys) app.access.budgets.forget(id)
    app.ollamaProxy.endRoom(room.id)
    return { success: true as const }
  })
}

export default close
