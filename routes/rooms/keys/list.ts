import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { KeyList } from '../../../schemas/key.ts'
import { RoomParams } from '../../../schemas/room.ts'

const schema = {
  tags: ['Keys'],
  operationId: 'listKeys',
  summary: 'List the personal keys (host)',
  params: RoomParams,
  response: {
    200: { ...KeyList, description: 'The keys, without what their holders send' },
    ...errors(400, 401, 403, 404, 429),
  },
}

const listKeys: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/keys', { schema, config: { operation: 'listKeys' } }, async ({ room }) => ({
    keys: [...(await app.roomStore.listKeys(room.room.id))],
  }))
}

export default listKeys
