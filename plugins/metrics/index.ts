import fp from 'fastify-plugin'
import { createMetrics, type Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    metrics: Metrics
  }
}

export interface MetricsPluginOptions {
  /** Of the hub. */
  version: string
}

export default fp<MetricsPluginOptions>(
  async (app, { version }) => {
    const metrics = createMetrics({
      version,
      onUnreadable: (metric, error) => app.log.warn({ err: error, metric }, 'a metric could not be read'),
    })
    const { eventBus, roomStore } = app
    metrics.gauge('potluck_event_subscribers', 'Event streams that are open', () => eventBus.size)
    metrics.gauge('potluck_rooms', 'Rooms, unlisted ones included', async () => (await roomStore.census()).rooms)
    metrics.gaugeBy(
      'status',
      'potluck_participants',
      'Participants of all rooms; busy is who has paused, or whose slots are all taken',
      async () => (await roomStore.census()).participants,
    )
    app.decorate('metrics', metrics)
  },
  { name: 'metrics', dependencies: ['event-bus', 'room-store'] },
)
