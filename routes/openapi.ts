import type { FastifyPluginAsync } from 'fastify'

const openapi: FastifyPluginAsync = async (app) => {
  app.get('/openapi.json', { schema: { hide: true }, config: { operation: 'describe' } }, async () => app.swagger())
}

export default openapi
