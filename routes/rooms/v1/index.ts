import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { ignoreContentType } from '../../json-body.ts'
import chatCompletions from './chat-completions.ts'
import models from './models.ts'

/** Inference bodies are bytes: they are looked into, never parsed whole. */
function readBytes(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers()
  ignoreContentType(app)
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
}

export interface V1Options {
  /** Bytes. */
  bodyLimit: number
}

/** What OpenAI's clients speak. */
const v1: FastifyPluginAsync<V1Options> = async (app, { bodyLimit }) => {
  readBytes(app, bodyLimit)
  // An answer is a stranger's and has a policy of its own.
  app.addHook('onRoute', (route) => {
    route.helmet = false
  })
  await app.register(chatCompletions, { bodyLimit })
  await app.register(models)
}

export default v1
