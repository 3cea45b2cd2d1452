import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { EventStream, EventsQuery, ROOM_EVENTS, ROOM_STREAM } from '../../schemas/event-stream.ts'
import { RoomParams } from '../../schemas/room.ts'
import { streamEvents } from '../sse.ts'

const schema = {
  tags: ['Events'],
  operationId: 'watchRoom',
  summary: 'Watch the room live (Server-Sent Events)',
  description: ROOM_STREAM,
  params: RoomParams,
  querystring: EventsQuery,
  response: { 200: EventStream(ROOM_EVENTS), ...errors(404) },
}

const events: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    streamEvents(request, reply, request.room.room.id)
  })
}

export default events
