import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RoomPage, RoomStore } from '../../plugins/room-store/store.ts'
import { errors } from '../../schemas/errors.ts'
import { MAX_PAGE, RoomsPage, RoomsQuery } from '../../schemas/room.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'listRooms',
  summary: 'List the rooms, oldest first',
  description:
    'Whole without a query; with `limit`, a page and the `cursor` of the next one. Unlisted rooms are not in it.',
  querystring: RoomsQuery,
  response: { 200: { ...RoomsPage, description: 'The rooms, or a page of them' }, ...errors(400) },
}

/** A list of a hundred thousand rooms is made piece by piece, so that nobody else waits for it meanwhile. */
async function* wholeList(store: RoomStore, first: RoomPage): AsyncGenerator<string> {
  yield '{"rooms":['
  let page = first
  let separator = ''
  for (;;) {
    if (page.rooms.length > 0) yield separator + page.rooms.map((room) => JSON.stringify(room)).join(',')
    if (page.cursor === undefined) break
    separator = ','
    await setImmediate()
    page = await store.listRooms({ limit: MAX_PAGE, cursor: page.cursor })
  }
  yield ']}'
}

const list: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/', { schema, config: { operation: 'listRooms' } }, async ({ query }, reply) => {
    const isWhole = query.limit === undefined && query.cursor === undefined
    const page = await app.roomStore.listRooms(isWhole ? { limit: MAX_PAGE } : query)
    if (!isWhole || page.cursor === undefined) return page
    const pieces = Readable.from(wholeList(app.roomStore, page), { objectMode: false })
    return reply.type('application/json; charset=utf-8').send(pieces as never)
  })
}

export default list
