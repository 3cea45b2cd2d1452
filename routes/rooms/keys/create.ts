import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { nanoid } from 'nanoid'
import { errors } from '../../../schemas/errors.ts'
import { CreatedKey, CreateKeyBody } from '../../../schemas/key.ts'
import { RoomParams } from '../../../schemas/room.ts'
import { withoutNulls } from '../../../schemas/text.ts'

const schema = {
  tags: ['Keys'],
  operationId: 'createKey',
  summary: 'Mint a personal key (host)',
  params: RoomParams,
  body: CreateKeyBody,
  response: { 201: { ...CreatedKey, description: 'The key' }, ...errors(400, 401, 403, 404, 413, 429) },
}

const createKey: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/keys', { schema, config: { operation: 'createKey' } }, async ({ room, body }, reply) => {
    const { name, requestsPerMinute, tokensPerDay } = body
    const { token } = app.access.mintToken()
    // With the code in it a key alone says which room it is for.
    const key = `potluck-${room.room.code}-${token}`
    const limits = withoutNulls({ requestsPerMinute, tokensPerDay })
    const entry = { id: nanoid(12), name, createdAt: app.clock.now(), ...limits }
    const added = await app.roomStore.addKey(room.room.id, entry, app.access.hashToken(key))
    return reply.code(201).send({ ...added, key })
  })
}

export default createKey
