import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import type { RoomRecord } from '../../plugins/room-store/store.ts'
import { RoomNotFound } from '../../schemas/errors.ts'
import { readJsonBodies } from '../json-body.ts'
import close from './close.ts'
import create from './create.ts'
import events from './events.ts'
import get from './get.ts'
import health from './health.ts'
import join from './join.ts'
import leave from './leave.ts'
import list from './list.ts'
import getParticipant from './participants/get.ts'
import listParticipants from './participants/list.ts'
import removeParticipant from './participants/remove.ts'
import updateParticipant from './participants/update.ts'
import update from './update.ts'
import v1 from './v1/index.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The room that the path names; set on every route below `/rooms/:code`. */
    room: RoomRecord
  }
}

/** Before the body is read: who asks for a room that does not exist need not upload anything first. */
async function findRoom(this: FastifyInstance, request: FastifyRequest): Promise<void> {
  const room = await this.roomStore.visitRoom((request.params as { code: string }).code, this.clock.now())
  if (room === undefined) throw new RoomNotFound()
  request.room = room
}

const ofOneRoom: FastifyPluginAsync = async (app) => {
  app.addHook('onRequest', findRoom)
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
}

const management: FastifyPluginAsync = async (app) => {
  readJsonBodies(app)
  await app.register(create)
  await app.register(list)
  await app.register(ofOneRoom, { prefix: '/:code' })
}

/** Apart from the rest: these bodies are bytes. */
const inference: FastifyPluginAsync<RoomsOptions> = async (app, { inferenceBodyLimit }) => {
  app.addHook('onRequest', findRoom)
  await app.register(v1, { prefix: '/v1', bodyLimit: inferenceBodyLimit })
}

export interface RoomsOptions {
  /** Bytes. @default 33554432 */
  inferenceBodyLimit: number
}

const rooms: FastifyPluginAsync<RoomsOptions> = async (app, { inferenceBodyLimit }) => {
  app.decorateRequest('room')
  await app.register(management)
  await app.register(inference, { prefix: '/:code', inferenceBodyLimit })
}

export default rooms
