import fp from 'fastify-plugin'
import type { Clock } from '../../schemas/clock.ts'
import { createHealthMonitor, type HealthMonitor } from './monitor.ts'

declare module 'fastify' {
  interface FastifyInstance {
    healthMonitor: HealthMonitor
  }
}

export interface HealthMonitorPluginOptions {
  clock: Clock
  /** @default 30000 */
  offlineAfterMs: number
  /** @default 1000 */
  healthTickMs: number
}

export default fp<HealthMonitorPluginOptions>(
  async (app, { clock, offlineAfterMs, healthTickMs }) => {
    const monitor = createHealthMonitor({
      store: app.roomStore,
      clock,
      timeoutMs: offlineAfterMs,
      tickMs: healthTickMs,
    })
    let looking = false
    const look = async () => {
      if (looking) return
      looking = true
      await monitor.tick().catch((error: unknown) => app.log.error({ err: error }, 'the health monitor could not look'))
      looking = false
    }
    const timer = setInterval(look, healthTickMs).unref()
    app.decorate('healthMonitor', monitor)
    app.addHook('onClose', async () => clearInterval(timer))
  },
  { name: 'health-monitor', dependencies: ['room-store'] },
)
