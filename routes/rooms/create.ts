import { randomUUID } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { ErrorBody } from '../../schemas/errors.ts'
import { readConfig } from '../../schemas/participant.ts'
import { CreateRoomBody, Room } from '../../schemas/room.ts'

const Created = Type.Object({
  room: Room,
  hostId: Type.String(),
  hostToken: Type.String({ description: 'Proves who is host; shown this once' }),
})

const schema = {
  summary: 'Open a room',
  body: CreateRoomBody,
  response: { 201: Created, 400: ErrorBody, 409: ErrorBody },
}

const create: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/', { schema }, async (request, reply) => {
    const { name, password, code, listed, defaults } = request.body
    const hostToken = app.access.mintToken()
    const passwordHash = await app.access.hashPassword(password)
    const { room } = await app.roomStore.createRoom({
      name,
      hostId: randomUUID(),
      hostTokenHash: hostToken.hash,
      listed: listed ?? true,
      defaults: readConfig(defaults),
      createdAt: app.clock.now(),
      ...(passwordHash === null ? {} : { passwordHash }),
      ...(code === undefined || code === null ? {} : { code }),
    })
    return reply.code(201).send({ room, hostId: room.hostId, hostToken: hostToken.token })
  })
}

export default create
