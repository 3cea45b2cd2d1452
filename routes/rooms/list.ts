import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { RoomsPage, RoomsQuery } from '../../schemas/room.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'listRooms',
  summary: 'List the rooms, oldest first',
  description:
    'Whole without a query; with `limit`, a page and the `cursor` of the next one. Unlisted rooms are not in it.',
  querystring: RoomsQuery,
  response: { 200: { ...RoomsPage, description: 'The rooms, or a page of them' }, ...errors(400) },
}

const list: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema, config: { operation: 'listRooms' } }, async ({ query }) => app.roomStore.listRooms(query))
}

export default list
