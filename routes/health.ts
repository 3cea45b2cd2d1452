import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'

const Timestamp = Type.Integer({ description: 'ms since the epoch' })
const Ready = Type.Object({ status: Type.Literal('ready') }, { description: 'It takes requests' })
const Closing = Type.Object({ status: Type.Literal('closing') }, { description: 'The hub is shutting down' })

const healthSchema = {
  tags: ['Hub'],
  operationId: 'health',
  summary: 'Whether the hub answers, and what time it has',
  response: { 200: Type.Object({ status: Type.Literal('ok'), timestamp: Timestamp }, { description: 'It answers' }) },
}
const livezSchema = {
  tags: ['Hub'],
  operationId: 'livez',
  summary: 'Whether the process is alive: restart it where this fails',
  response: { 200: Type.Object({ status: Type.Literal('ok') }, { description: 'It is alive' }) },
}
const readyzSchema = {
  tags: ['Hub'],
  operationId: 'readyz',
  summary: 'Whether to send requests here: not while the hub shuts down',
  response: { 200: Ready, 503: Closing },
}

/** For people and load balancers; the last two as Kubernetes names them. */
const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/health', { schema: healthSchema, config: { operation: 'health' } }, async () => ({
    status: 'ok' as const,
    timestamp: app.clock.now(),
  }))
  app.get('/livez', { schema: livezSchema, config: { operation: 'health' } }, async () => ({ status: 'ok' as const }))
  app.get('/readyz', { schema: readyzSchema, config: { operation: 'health' } }, async (_request, reply) => {
    if (app.isClosing()) return reply.code(503).send({ status: 'closing' as const })
    return { status: 'ready' as const }
  })
}

export default health
