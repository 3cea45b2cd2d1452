import fp from 'fastify-plugin'
import { announceWrites } from './announce.ts'
import { MemoryRoomStore } from './memory-store.ts'
import type { RoomStore } from './store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    roomStore: RoomStore
  }
}

export default fp(
  async (app) => {
    const store = announceWrites(new MemoryRoomStore(), app.eventBus)
    app.decorate('roomStore', store)
    app.addHook('onClose', () => store.close())
  },
  { name: 'room-store', dependencies: ['event-bus'] },
)
