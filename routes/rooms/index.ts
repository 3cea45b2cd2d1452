import type { FastifyPluginAsync } from 'fastify'
import type { RoomRecord } from '../../plugins/room-store/store.ts'
import { guardRoom } from '../guard.ts'
import { readJsonBodies } from '../json-body.ts'
import close from './close.ts'
import create from './create.ts'
import createTicket from './create-ticket.ts'
import events from './events.ts'
import get from './get.ts'
import health from './health.ts'
import inference from './inference.ts'
import join from './join.ts'
import createKey from './keys/create.ts'
import listKeys from './keys/list.ts'
import revokeKey from './keys/revoke.ts'
import leave from './leave.ts'
import list from './list.ts'
import getParticipant from './participants/get.ts'
import listParticipants from './participants/list.ts'
import removeParticipant from './participants/remove.ts'
import updateParticipant from './participants/update.ts'
import tunnel from './tunnel.ts'
import update from './update.ts'
import usage from './usage.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The room that the path or, at the root, the key names; set on every route that is about one. */
    room: RoomRecord
  }
}

const ofOneRoom: FastifyPluginAsync = async (app) => {
  app.addHook('onRequest', guardRoom)
  await app.register(get)
  await app.register(update)
  await app.register(close)
  await app.register(join)
  await app.register(leave)
  await app.register(health)
  await app.register(listParticipants)
  await app.register(getParticipant)
  await app.register(updateParticipant)
  await app.register(removeParticipant)
  await app.register(events)
  await app.register(tunnel)
  await app.register(createTicket)
  await app.register(createKey)
  await app.register(listKeys)
  await app.register(revokeKey)
  await app.register(usage)
}

const management: FastifyPluginAsync = async (app) => {
  readJsonBodies(app)
  await app.register(create)
  await app.register(list)
  await app.register(ofOneRoom, { prefix: '/:code' })
}

export interface RoomsOptions {
  /** Bytes. @default 33554432 */
  inferenceBodyLimit: number
}

const rooms: FastifyPluginAsync<RoomsOptions> = async (app, { inferenceBodyLimit }) => {
  await app.register(management)
  await app.register(
    async (scope) => {
      scope.addHook('onRequest', guardRoom)
      // Apart from the rest: these bodies are bytes.
      await scope.register(inference, { bodyLimit: inferenceBodyLimit })
    },
    { prefix: '/:code' },
  )
}

export default rooms
