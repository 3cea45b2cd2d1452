import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../schemas/errors.ts'
import { guardHub } from './guard.ts'

const PAGE = {
  description: "Prometheus' text format",
  content: {
    'text/plain; version=0.0.4': {
      schema: {
        type: 'string',
        examples: ['# HELP potluck_rooms Rooms, unlisted ones included\n# TYPE potluck_rooms gauge\npotluck_rooms 3\n'],
      },
    },
  },
}

const schema = {
  tags: ['Hub'],
  operationId: 'readMetrics',
  summary: 'How much the hub does, in numbers (Prometheus)',
  description:
    'Requests, times and tokens by protocol, rooms, participants, event streams, and the process. No room, participant, model or address is named.',
  response: { 200: PAGE, ...errors(401) },
}

const metrics: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/metrics', { schema, config: { operation: 'readMetrics' }, onRequest: guardHub }, async (_request, reply) =>
    reply.type(app.metrics.contentType).send(await app.metrics.text()),
  )
}

export default metrics
