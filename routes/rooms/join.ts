import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { ErrorBody, InvalidField, InvalidPassword } from '../../schemas/errors.ts'
import { JoinBody, Participant, readConfig, readSpecs } from '../../schemas/participant.ts'
import { RoomParams } from '../../schemas/room.ts'

const Joined = Type.Object({
  participant: Participant,
  roomId: Type.String(),
  token: Type.String({ description: 'Proves who this participant is; shown this once' }),
})

const schema = {
  summary: 'Bring an LLM server into the room',
  description: 'Nothing is probed: the participant is online at once, and stays so while it sends heartbeats.',
  params: RoomParams,
  body: JoinBody,
  response: { 201: Joined, 400: ErrorBody, 401: ErrorBody, 404: ErrorBody, 409: ErrorBody },
}

async function checkPassword({ server, room }: FastifyRequest, password: string | null | undefined): Promise<void> {
  if (room.passwordHash === undefined) return
  if (!(await server.access.passwords.verify(password ?? '', room.passwordHash))) throw new InvalidPassword()
}

const join: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/join', { schema }, async (request, reply) => {
    const { id, nickname, model, endpoint, password, specs, config, authHeaders } = request.body
    if (authHeaders !== undefined && authHeaders !== null) {
      throw new InvalidField(
        'authHeaders are not taken: the hub must not hold credentials of a provider. Use `potluck join --header` on the machine that has them',
      )
    }
    const target = app.access.parseEndpoint(endpoint, request)
    await checkPassword(request, password)
    const now = app.clock.now()
    const participant: Participant = {
      id,
      nickname,
      model,
      endpoint,
      specs: readSpecs(specs),
      config: readConfig(config),
      status: 'online',
      joinedAt: now,
      lastSeen: now,
    }
    const { owner, token } = app.access.newOwner(request)
    const joined = await app.roomStore.join(
      request.room.room.id,
      { participant, target, owner },
      app.access.claimOf(request),
    )
    const isNewOwner = joined.owner.tokenHash === owner.tokenHash
    return reply.code(201).send({
      participant: joined.participant,
      roomId: joined.roomId,
      // Who came with its token keeps it: an answer that gets lost must not lock its owner out.
      token: isNewOwner ? token : (app.access.tokenOf(request) ?? token),
    })
  })
}

export default join
