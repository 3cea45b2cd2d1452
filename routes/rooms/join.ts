import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Target } from '../../plugins/room-store/store.ts'
import { errors, InvalidField, MissingFields } from '../../schemas/errors.ts'
import { isReservedName, unusableModels } from '../../schemas/models.ts'
import { JOIN_MISSING, JoinBody, Participant, readConfig, readModels, readSpecs } from '../../schemas/participant.ts'
import { RoomParams } from '../../schemas/room.ts'

const Joined = Type.Object({
  participant: Participant,
  roomId: Type.String(),
  token: Type.String({ description: 'Proves who this participant is; shown this once' }),
})

const schema = {
  tags: ['Participants'],
  operationId: 'join',
  summary: 'Bring an LLM server into the room',
  description:
    'The participant is online at once, and stays so while it sends heartbeats; with `tunnel: true` it is online while its tunnel (`GET /rooms/:code/tunnel`) stands. What its server can do is asked behind that.',
  params: RoomParams,
  body: JoinBody,
  response: {
    201: { ...Joined, description: 'The participant as everybody sees it, and its token' },
    ...errors(400, 401, 404, 409, 413),
  },
}

function refuseAuthHeaders({ authHeaders }: JoinBody): void {
  if (authHeaders === undefined || authHeaders === null) return
  throw new InvalidField(
    'authHeaders are not taken: the hub must not hold credentials of a provider. Use `potluck join --header` on the machine that has them',
  )
}

/** What a request may say instead of a name can't be one. */
function refuseNames(id: string, models: readonly string[]): void {
  if (isReservedName(id)) throw new InvalidField(`id must not be ${id}: it has a meaning of its own in requests`)
  const wrong = unusableModels(models)
  if (wrong !== undefined) throw new InvalidField(wrong)
}

function participantOf(body: JoinBody, now: number): Participant {
  const { id, nickname, specs, config, slots, manage } = body
  const models = readModels(body)
  const [model] = models
  if (model === undefined) throw new MissingFields(JOIN_MISSING)
  refuseNames(id, models)
  const capacity = slots === undefined || slots === null ? {} : { slots }
  const times = { joinedAt: now, lastSeen: now }
  const { endpoint, ...state } = wayTo(body)
  const shown = { id, nickname, model, models, endpoint, specs: readSpecs(specs), config: readConfig(config) }
  return { ...shown, ...state, ...capacity, ...(manage === true ? { manage } : {}), ...times }
}

/** Where it is, and so whether it is there already. */
function wayTo(body: JoinBody): Pick<Participant, 'endpoint' | 'status' | 'offlineReason'> {
  if (!isTunnelled(body)) return { endpoint: body.endpoint ?? '', status: 'online' }
  return { endpoint: `tunnel:${body.id}`, status: 'offline', offlineReason: 'Its tunnel is not open yet' }
}

function isTunnelled({ tunnel, endpoint, liveness }: JoinBody): boolean {
  const isGiven = typeof endpoint === 'string' && endpoint.trim() !== ''
  if (tunnel !== true && !isGiven) throw new MissingFields(JOIN_MISSING)
  if (tunnel === true && isGiven) throw new InvalidField('endpoint and tunnel exclude each other: send one of them')
  if (tunnel === true && typeof liveness === 'string')
    throw new InvalidField('liveness has no place beside tunnel: the tunnel says whether the participant is there')
  return tunnel === true
}

function targetOf(app: FastifyInstance, request: FastifyRequest, { id, endpoint }: JoinBody): Target {
  return typeof endpoint === 'string' && endpoint.trim() !== ''
    ? app.access.parseEndpoint(endpoint, request)
    : app.tunnel.targetOf(request.room.room.id, id)
}

const join: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/join', { schema, config: { operation: 'join' } }, async (request, reply) => {
    const { body, room } = request
    await app.access.enterToJoin(request, body.password)
    refuseAuthHeaders(body)
    const participant = participantOf(body, app.clock.now())
    const target = targetOf(app, request, body)
    const { owner, token } = app.access.newOwner(request)
    const liveness = target.isTunnel === true ? 'tunnel' : (body.liveness ?? 'heartbeat')
    const entry = { participant, target, owner, liveness } as const
    const joined = await app.roomStore.join(room.room.id, entry, app.access.claimOf(request))
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
