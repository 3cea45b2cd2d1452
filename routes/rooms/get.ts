import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../schemas/errors.ts'
import { OneRoom, RoomParams } from '../../schemas/room.ts'

const schema = { summary: 'Look at one room', params: RoomParams, response: { 200: OneRoom, 404: ErrorBody } }

const get: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema }, async ({ room }) => ({ room: await app.roomStore.viewRoom(room.room.id) }))
}

export default get
