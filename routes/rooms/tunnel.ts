import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { errors, Forbidden, HubClosing, NotTunnelled, TokenRequired } from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import { RoomParams } from '../../schemas/room.ts'
import { TUNNEL_PROTOCOL, TUNNEL_VERSION_HEADER } from '../../schemas/tunnel.ts'

const schema = {
  tags: ['Participants'],
  operationId: 'openTunnel',
  security: [{ participant: [] }],
  summary: 'Open the tunnel of a participant (WebSocket)',
  description: `For a participant that joined with \`tunnel: true\`. The request becomes a WebSocket with the subprotocol \`${TUNNEL_PROTOCOL}\`; on it the hub is the client, and the participant the server, of HTTP/2. The participant is online while it stands; a second one takes the place of the first.`,
  params: RoomParams,
  response: {
    101: { description: 'The tunnel stands once the participant speaks HTTP/2 on it', type: 'null' },
    ...errors(401, 403, 404, 409, 426, 503),
  },
}

/** The token alone says which participant it is. */
async function senderOf({ server, room }: FastifyRequest, token = ''): Promise<ParticipantRecord> {
  const hash = server.access.hashToken(token)
  const holder = sameHash(room.hostTokenHash, hash)
    ? { role: 'host' }
    : await server.roomStore.findToken(room.room.id, hash)
  if (holder === undefined) throw new TokenRequired()
  if (!('participantId' in holder)) throw new Forbidden('A tunnel is opened with the token of its participant')
  return server.roomStore.getParticipant(room.room.id, holder.participantId)
}

const tunnel: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/tunnel',
    { schema, exposeHeadRoute: false, config: { operation: 'openTunnel' } },
    async (request, reply) => {
      reply.headers({ [TUNNEL_VERSION_HEADER]: TUNNEL_PROTOCOL, upgrade: 'websocket' })
      const record = await senderOf(request, app.access.tokenOf(request))
      // Behind all that is waited for: whoever comes after the last tunnel was closed would keep the hub for as long as it likes.
      if (app.isClosing()) throw new HubClosing()
      if (record.target.isTunnel !== true) throw new NotTunnelled()
      app.tunnel.open(request, reply, record)
      return reply
    },
  )
}

export default tunnel
