import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RoomNotFound } from '../schemas/errors.ts'

/** What is about the hub, not about a room. */
export function guardHub(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  const { operation } = request.routeOptions.config
  if (operation !== undefined) request.server.access.enterHub(operation, request.server.access.shownBy(request))
  done()
}

/**
 * What is about a room: finds it, and finds out whether the sender may do what the route does. Before the body is read: who
 * asks for a room that does not exist, or that is not theirs, need not upload anything first.
 */
export async function guardRoom(this: FastifyInstance, request: FastifyRequest): Promise<void> {
  const room = await this.roomStore.visitRoom((request.params as { code: string }).code, this.clock.now())
  if (room === undefined) throw new RoomNotFound()
  request.room = room
  const { operation } = request.routeOptions.config
  // A join may have the room's password in its body, so it asks by itself.
  const entered = operation === undefined || operation === 'join' ? undefined : this.access.enter(request, operation)
  if (entered !== undefined) await entered
}

/** What names no room in its path, from clients that know only a host: the key says which, or there is but one. */
export async function guardRoot(this: FastifyInstance, request: FastifyRequest): Promise<void> {
  const { operation } = request.routeOptions.config
  if (operation !== undefined) await this.access.enterAtRoot(request, operation)
}
