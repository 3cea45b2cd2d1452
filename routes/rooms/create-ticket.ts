import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { RoomParams } from '../../schemas/room.ts'

const Ticket = Type.Object({
  ticket: Type.String({ description: 'For `GET …/events?ticket=`' }),
  expiresAt: Type.Integer({
    description: 'ms since the epoch; a stream that is open keeps it good, and 5 minutes beyond',
  }),
})

const schema = {
  tags: ['Events'],
  operationId: 'createTicket',
  summary: 'Get a ticket for the event stream',
  description: "For browsers: an EventSource can't send a header, and a password has no place in a URL.",
  params: RoomParams,
  response: { 201: { ...Ticket, description: 'The ticket' }, ...errors(400, 401, 404, 413, 429) },
}

const createTicket: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/events/ticket', { schema, config: { operation: 'createTicket' } }, async (request, reply) => {
    const { room, passwordHash } = request.room
    return reply.code(201).send(app.access.tickets.issue({ roomId: room.id, passwordHash }))
  })
}

export default createTicket
