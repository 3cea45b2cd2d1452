import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { ParticipantChange } from '../../../plugins/room-store/store.ts'
import { errors, InvalidField } from '../../../schemas/errors.ts'
import { unusableModels } from '../../../schemas/models.ts'
import {
  OneParticipant,
  ParticipantParams,
  ParticipantPatch,
  readConfig,
  readModels,
  readSpecs,
} from '../../../schemas/participant.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'updateParticipant',
  security: [{ participant: [] }, { host: [] }],
  summary: 'Change a participant, or pause it',
  description: "With the participant's token; with the host's, `paused` alone. What is there replaces what was.",
  params: ParticipantParams,
  body: ParticipantPatch,
  response: {
    200: { ...OneParticipant, description: 'The participant as it is now' },
    ...errors(400, 401, 403, 404, 409, 413),
  },
}

function changeOf({ models, config, specs, slots, paused }: ParticipantPatch): ParticipantChange {
  return {
    ...(models === undefined ? {} : { models: readModels({ models }) }),
    ...(config === undefined ? {} : { config: readConfig(config) }),
    ...(specs === undefined ? {} : { specs: readSpecs(specs) }),
    ...(slots === undefined ? {} : { slots }),
    ...(paused === undefined ? {} : { paused }),
  }
}

const update: FastifyPluginAsyncTypebox = async (app) => {
  app.patch('/participants/:id', { schema, config: { operation: 'updateParticipant' } }, async (request) => {
    const { room, params, body } = request
    const record = await app.roomStore.getParticipant(room.room.id, params.id)
    const isPauseAlone = Object.keys(body).every((field) => field === 'paused')
    app.access.requireSelf(request, record, isPauseAlone)
    const wrong = unusableModels(readModels({ models: body.models ?? null }))
    if (wrong !== undefined) throw new InvalidField(wrong)
    const { participant } = await app.roomStore.updateParticipant(
      room.room.id,
      params.id,
      changeOf(body),
      app.access.claimOf(request),
    )
    return { participant }
  })
}

export default update
