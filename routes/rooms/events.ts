import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { EventStream, ROOM_EVENTS, ROOM_STREAM, RoomEventsQuery } from '../../schemas/event-stream.ts'
import { RoomParams } from '../../schemas/room.ts'
import { streamEvents } from '../sse.ts'

const schema = {
  tags: ['Events'],
  operationId: 'watchRoom',
  summary: 'Watch the room live (Server-Sent Events)',
  description: ROOM_STREAM,
  params: RoomParams,
  querystring: RoomEventsQuery,
  response: { 200: EventStream(ROOM_EVENTS), ...errors(404) },
}

const events: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/events', { schema, exposeHeadRoute: false, config: { operation: 'watchRoom' } }, (request, reply) => {
    const { room, passwordHash } = request.room
    const { ticket } = request.query
    if (ticket !== undefined)
      reply.raw.once('close', app.access.tickets.hold(ticket, { roomId: room.id, passwordHash }))
    streamEvents(request, reply, room.id)
  })
}

export default events
