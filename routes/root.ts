import type { FastifyPluginAsync } from 'fastify'
import { guardRoot } from './guard.ts'
import inference from './rooms/inference.ts'

/** What a person sees who types the hub's address; Ollama's clients ask for it to see whether a server is there. */
const WELCOME = 'Potluck is running. /docs explains its API, /llms.txt says it in short.\n'

export interface RootOptions {
  /** Bytes. @default 33554432 */
  inferenceBodyLimit: number
}

/** For clients that know only a host: `/v1` and `/api` of the room that their key names. */
const root: FastifyPluginAsync<RootOptions> = async (app, { inferenceBodyLimit }) => {
  app.get('/', { schema: { hide: true }, config: { operation: 'describe' } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(WELCOME),
  )
  await app.register(async (scope) => {
    scope.addHook('onRequest', guardRoot)
    await scope.register(inference, { bodyLimit: inferenceBodyLimit, isAtRoot: true })
  })
}

export default root
