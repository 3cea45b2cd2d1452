import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EventsQuery } from '../../schemas/event-stream.ts'
import { RoomParams } from '../../schemas/room.ts'
import { streamEvents } from '../sse.ts'

const schema = { summary: 'Watch the room live (Server-Sent Events)', params: RoomParams, querystring: EventsQuery }

const events: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    streamEvents(request, reply, request.room.room.id)
  })
}

export default events
