import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../schemas/errors.ts'
import { RoomsPage, RoomsQuery } from '../../schemas/room.ts'

const schema = {
  summary: 'List the rooms, oldest first',
  description:
    'Whole without a query; with `limit`, a page and the `cursor` of the next one. Unlisted rooms are not in it.',
  querystring: RoomsQuery,
  response: { 200: RoomsPage, 400: ErrorBody },
}

const list: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema }, async ({ query }) => app.roomStore.listRooms(query))
}

export default list
