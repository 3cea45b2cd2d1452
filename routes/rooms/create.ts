import { randomUUID } from 'node:crypto'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { errors } from '../../schemas/errors.ts'
import { readConfig } from '../../schemas/participant.ts'
import { CreateRoomBody, Room } from '../../schemas/room.ts'
import { guardHub } from '../guard.ts'

const Created = Type.Object({
  room: Room,
  hostId: Type.String(),
  hostToken: Type.String({ description: 'Proves who is host; shown this once' }),
  protected: Type.Boolean({ description: 'It has a password' }),
})

const schema = {
  tags: ['Rooms'],
  operationId: 'createRoom',
  summary: 'Open a room',
  description: 'Announced to every subscriber of the hub (`room:created`) unless `listed` is false.',
  body: CreateRoomBody,
  response: { 201: { ...Created, description: 'The room, and the token of its host' }, ...errors(400, 409, 413) },
}

const create: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/', { schema, config: { operation: 'createRoom' }, onRequest: guardHub }, async (request, reply) => {
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
    return reply
      .code(201)
      .send({ room, hostId: room.hostId, hostToken: hostToken.token, protected: passwordHash !== null })
  })
}

export default create
