import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { OneRoom, RoomParams } from '../../schemas/room.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'getRoom',
  summary: 'Look at one room',
  params: RoomParams,
  response: { 200: { ...OneRoom, description: 'The room' }, ...errors(404) },
}

const get: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema, config: { operation: 'seeRoom' } }, async ({ room }) => ({
    room: await app.roomStore.viewRoom(room.room.id),
  }))
}

export default get
