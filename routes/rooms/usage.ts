import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { PersonalKey } from '../../plugins/room-store/store.ts'
import { errors, Forbidden, HostTokenRequired } from '../../schemas/errors.ts'
import { Usage } from '../../schemas/key.ts'
import { RoomParams } from '../../schemas/room.ts'

const schema = {
  tags: ['Keys'],
  operationId: 'readUsage',
  security: [{ key: [] }, { host: [] }],
  summary: "Read the usage: a key's holder its own, the host everybody's",
  params: RoomParams,
  response: {
    200: Type.Object({ usage: Type.Array(Usage) }, { description: 'One entry a key' }),
    ...errors(400, 401, 403, 404, 429),
  },
}

const usage: FastifyPluginAsyncTypebox = async (app) => {
  const usageOf = ({ id, name }: PersonalKey): Usage => ({ id, name, ...app.access.budgets.usageOf(id) })

  app.get('/usage', { schema, config: { operation: 'readUsage' } }, async ({ room, identity }) => {
    if (identity.key !== undefined) return { usage: [usageOf(identity.key)] }
    if (identity.role === 'guest' && room.passwordHash === undefined) throw new HostTokenRequired()
    if (identity.role !== 'host') throw new Forbidden("This needs a personal key, or the host's token")
    const keys = await app.roomStore.listKeys(room.room.id)
    return { usage: keys.map(usageOf) }
  })
}

export default usage
