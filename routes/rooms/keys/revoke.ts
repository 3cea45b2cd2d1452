import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { errors } from '../../../schemas/errors.ts'
import { KeyParams } from '../../../schemas/key.ts'
import { Success } from '../../../schemas/success.ts'

const schema = {
  tags: ['Keys'],
  operationId: 'revokeKey',
  summary: 'Revoke a personal key (host)',
  description: 'What runs may end; the next request with it fails.',
  params: KeyParams,
  response: { 200: { ...Success, description: 'The key is no longer taken' }, ...errors(400, 401, 403, 404, 429) },
}

const revokeKey: FastifyPluginAsyncTypebox = async (app) => {
  app.delete('/keys/:id', { schema, config: { operation: 'revokeKey' } }, async ({ room, params }) => {
    const { id } = await app.roomStore.removeKey(room.room.id, params.id)
    app.access.budgets.forget(id)
    return { success: true as const }
  })
}

export default revokeKey
