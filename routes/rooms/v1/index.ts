import type { FastifyError, FastifyInstance, FastifyPluginAsync } from 'fastify'
import { failureOf } from '../../error-reply.ts'
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

/** What OpenAI's clients speak; errors have the shape that they parse. */
const v1: FastifyPluginAsync<V1Options> = async (app, { bodyLimit }) => {
  const { openaiChat } = app.ollamaProxy.protocols
  readBytes(app, bodyLimit)
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const failure = failureOf(error, request)
    return reply.code(failure.statusCode).send(openaiChat.errorBody(failure))
  })
  await app.register(chatCompletions, { bodyLimit })
  await app.register(models)
}

export default v1
