import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RoomChange } from '../../plugins/room-store/store.ts'
import { type Aliases, readAliases, unusableAliases } from '../../schemas/aliases.ts'
import { errors, InvalidField } from '../../schemas/errors.ts'
import { readConfig } from '../../schemas/participant.ts'
import { OneRoom, RoomParams, RoomPatch } from '../../schemas/room.ts'

const schema = {
  tags: ['Rooms'],
  operationId: 'updateRoom',
  summary: 'Change a room (host)',
  description: `What is there replaces what was; \`password: null\` opens the room. An alias is another name for models of the room, the
first that somebody offers serving it: with \`{"gpt-4o": ["qwen3:32b", "llama3.2:3b"]}\` a program that insists on gpt-4o uses what
you have. A model of exactly that name goes before the alias, the alias before a participant's id.`,
  params: RoomParams,
  body: RoomPatch,
  response: { 200: { ...OneRoom, description: 'The room as it is now' }, ...errors(400, 401, 403, 404, 413) },
}

/** @throws PTL_INVALID_FIELD */
function usableAliases(input: Parameters<typeof readAliases>[0]): Aliases {
  const aliases = readAliases(input)
  const wrong = unusableAliases(aliases)
  if (wrong !== undefined) throw new InvalidField(wrong)
  return aliases
}

const update: FastifyPluginAsyncTypebox = async (app) => {
  app.patch('/', { schema, config: { operation: 'updateRoom' } }, async (request) => {
    const { name, password, listed, defaults } = request.body
    const aliases = request.body.aliases === undefined ? undefined : usableAliases(request.body.aliases)
    const passwordHash = password === undefined ? undefined : await app.access.hashPassword(password)
    const change: RoomChange = {
      ...(name === undefined ? {} : { name }),
      ...(passwordHash === undefined ? {} : { passwordHash }),
      ...(listed === undefined ? {} : { listed }),
      ...(defaults === undefined ? {} : { defaults: readConfig(defaults) }),
      ...(aliases === undefined ? {} : { aliases }),
    }
    const { record } = await app.roomStore.updateRoom(request.room.room.id, change)
    return { room: await app.roomStore.viewRoom(record.room.id) }
  })
}

export default update
