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
  response: { 201: Created, 400: ErrorBody },
}

const create: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/', { schema }, async (request, reply) => {
    const { name, password, defaults } = request.body
    const hostToken = app.access.mintToken()
    const hasPassword = password !== undefined && password !== null && password !== ''
    const { room } = await app.roomStore.createRoom({
      name,
      hostId: randomUUID(),
      hostTokenHash: hostToken.hash,
      ...(hasPassword ? { passwordHash: await app.access.passwords.hash(password) } : {}),
      defaults: readConfig(defaults),
      createdAt: app.clock.now(),
    })
    return reply.code(201).send({ room, hostId: room.hostId, hostToken: hostToken.token })
  })
}

export default create
