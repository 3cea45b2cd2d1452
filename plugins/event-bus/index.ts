import fp from 'fastify-plugin'
import { nanoid } from 'nanoid'
import type { Clock } from '../../schemas/clock.ts'
import type { EventBus } from './bus.ts'
import { MemoryEventBus } from './memory-bus.ts'

declare module 'fastify' {
  interface FastifyInstance {
    eventBus: EventBus
  }
}

export interface EventBusOptions {
  clock: Clock
  /** @default 1000 */
  eventHistory: number
  /** A comment to every subscriber each so many ms; proxies commonly cut a silent response after 60 s. @default 15000 */
  eventKeepAliveMs: number
  /** @default 60000 */
  eventStallMs: number
}

export default fp<EventBusOptions>(
  async (app, { clock, eventHistory, eventKeepAliveMs, eventStallMs }) => {
    const epoch = nanoid(8)
    const bus = new MemoryEventBus({ clock, epoch, historyEvents: eventHistory, stallMs: eventStallMs })
    const heartbeat = setInterval(() => bus.beat(), eventKeepAliveMs).unref()
    app.decorate('eventBus', bus as EventBus)
    app.addHook('preClose', async () => bus.close())
    app.addHook('onClose', async () => clearInterval(heartbeat))
  },
  { name: 'event-bus' },
)
