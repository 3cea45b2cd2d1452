import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'

const schema = {
  summary: 'Whether the hub answers',
  response: {
    200: Type.Object({ status: Type.Literal('ok'), timestamp: Type.Integer({ description: 'ms since the epoch' }) }),
  },
}

const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/health', { schema }, async () => ({ status: 'ok' as const, timestamp: app.clock.now() }))
}

export default health
