import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { ListedRoom } from '../../schemas/room.ts'

const schema = {
  summary: 'List the rooms, oldest first',
  response: { 200: Type.Object({ rooms: Type.Array(ListedRoom) }) },
}

const list: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema }, async () => ({ rooms: await app.roomStore.listRooms() }))
}

export default list
