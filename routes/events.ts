import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../schemas/errors.ts'
import { EventStream, EventsQuery, HUB_EVENTS, HUB_STREAM } from '../schemas/event-stream.ts'
import { guardHub } from './guard.ts'
import { streamEvents } from './sse.ts'

const schema = {
  tags: ['Events'],
  operationId: 'watchHub',
  summary: "Watch the hub's rooms come, change and go (Server-Sent Events)",
  description: HUB_STREAM,
  querystring: EventsQuery,
  response: { 200: EventStream(HUB_EVENTS), ...errors(400) },
}

const events: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/events',
    { schema, exposeHeadRoute: false, config: { operation: 'watchHub' }, onRequest: guardHub },
    (request, reply) => streamEvents(request, reply),
  )
}

export default events
