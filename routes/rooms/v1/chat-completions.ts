import type { FastifyPluginAsync } from 'fastify'
import { RoomParams } from '../../../schemas/room.ts'
import type { V1Options } from './index.ts'

const schema = { summary: 'Chat with a model of the room, streamed or not (OpenAI)', params: RoomParams }
const NO_BODY = Buffer.alloc(0)

const chatCompletions: FastifyPluginAsync<V1Options> = async (app, { bodyLimit }) => {
  const protocol = app.ollamaProxy.protocols.openaiChat
  app.post('/chat/completions', { schema, bodyLimit }, async (request, reply) => {
    await app.ollamaProxy.forward({
      room: request.room,
      protocol,
      body: (request.body as Buffer | undefined) ?? NO_BODY,
      headers: request.headers,
      requestId: request.id,
      response: reply.raw,
      replyHeaders: reply.getHeaders() as Record<string, string>,
      onTakeOver: () => reply.hijack(),
    })
    return reply
  })
}

export default chatCompletions
