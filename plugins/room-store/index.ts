import fp from 'fastify-plugin'
import { announceWrites, type WatchedRoomStore } from './announce.ts'
import { MemoryRoomStore } from './memory-store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    roomStore: WatchedRoomStore
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
