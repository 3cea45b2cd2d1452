import type { FastifyPluginAsync } from 'fastify'
import { ChatBody, openAiErrors, PassedOn, PassedThrough } from '../../../schemas/inference.ts'
import { RoomParams } from '../../../schemas/room.ts'
import type { V1Options } from './index.ts'

const schema = {
  tags: ['Inference'],
  operationId: 'createChatCompletion',
  summary: 'Chat with a model of the room, streamed or not (OpenAI)',
  params: RoomParams,
  body: ChatBody,
  response: { 200: PassedThrough, ...openAiErrors(400, 404, 413, 429, 502, 503, 508), default: PassedOn },
}

/** The hub looks into the bytes where it must; whether they make sense is the participant's to say. */
const takeAsIs = () => () => true

const NOTHING = { inputTokens: 0, outputTokens: 0 }
const NO_BODY = Buffer.alloc(0)

const chatCompletions: FastifyPluginAsync<V1Options> = async (app, { bodyLimit }) => {
  const protocol = app.ollamaProxy.protocols.openaiChat
  app.post(
    '/chat/completions',
    { schema, bodyLimit, validatorCompiler: takeAsIs, config: { operation: 'infer' } },
    async (request, reply) => {
      const { key } = request.identity
      if (key !== undefined) app.access.budgets.begin(key)
      await app.ollamaProxy.forward({
        room: request.room,
        protocol,
        body: (request.body as Buffer | undefined) ?? NO_BODY,
        headers: request.headers,
        requestId: request.id,
        response: reply.raw,
        replyHeaders: reply.getHeaders() as Record<string, string>,
        onTakeOver: () => reply.hijack(),
        onServed: (served) => {
          request.served = served
          if (key !== undefined) app.access.budgets.charge(key.id, served.usage() ?? NOTHING)
        },
      })
      return reply
    },
  )
}

export default chatCompletions
