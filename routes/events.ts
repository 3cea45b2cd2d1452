import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EventsQuery } from '../schemas/event-stream.ts'
import { streamEvents } from './sse.ts'

const schema = { summary: "Watch the hub's rooms come, change and go (Server-Sent Events)", querystring: EventsQuery }

const events: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/events', { schema, exposeHeadRoute: false }, (request, reply) => streamEvents(request, reply))
}

export default events
