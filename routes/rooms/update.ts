import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RoomChange } from '../../plugins/room-store/store.ts'
import { errors } from '../../schemas/errors.ts'
import { readConfig } from '../../schemas/participant.ts'
import { OneRoom, RoomParams, RoomPatch } from '../../schemas/room.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'updateRoom',
  summary: 'Change a room (host)',
  description: 'What is there replaces what was; `password: null` opens the room.',
  params: RoomParams,
  body: RoomPatch,
  response: { 200: { ...OneRoom, description: 'The room as it is now' }, ...errors(400, 401, 403, 404, 413) },
}

const update: FastifyPluginAsyncTypebox = async (app) => {
  app.patch('/', { schema, config: { operation: 'updateRoom' } }, async (request) => {
    const { name, password, listed, defaults } = request.body
    const passwordHash = password === undefined ? undefined : await app.access.hashPassword(password)
    const change: RoomChange = {
      ...(name === undefined ? {} : { name }),
      ...(passwordHash === undefined ? {} : { passwordHash }),
      ...(listed === undefined ? {} : { listed }),
      ...(defaults === undefined ? {} : { defaults: readConfig(defaults) }),
    }
    const { record } = await app.roomStore.updateRoom(request.room.room.id, change)
    return { room: await app.roomStore.viewRoom(record.room.id) }
  })
}

export default update
