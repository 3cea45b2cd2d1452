import fp from 'fastify-plugin'
import type { Clock } from '../../schemas/clock.ts'
import { createHealthMonitor, type HealthMonitor } from './monitor.ts'
import { createProber, type Prober } from './prober.ts'

declare module 'fastify' {
  interface FastifyInstance {
    healthMonitor: HealthMonitor & { prober: Prober }
  }
}

export interface HealthMonitorPluginOptions {
  clock: Clock
  /** The hub takes no heartbeats any more. */
  isClosing(): boolean
  /** @default 30000 */
  offlineAfterMs: number
  /** @default 1000 */
  healthTickMs: number
  /** @default 86400000 */
  participantTtlMs: number
  /** @default 604800000 */
  roomTtlMs: number
  /** @default 10000 */
  probeIntervalMs: number
  /** @default 60000 */
  probeMaxIntervalMs: number
}

export default fp<HealthMonitorPluginOptions>(
  async (
    app,
    {
      clock,
      isClosing,
      offlineAfterMs,
      healthTickMs,
      participantTtlMs,
      roomTtlMs,
      probeIntervalMs,
      probeMaxIntervalMs,
    },
  ) => {
    const store = app.roomStore
    const limits = { timeoutMs: offlineAfterMs, tickMs: healthTickMs, participantTtlMs, roomTtlMs }
    const monitor = createHealthMonitor({ store, clock, ...limits })
    const prober = createProber({
      store,
      probe: (record) => app.ollamaProxy.probe(record),
      clock,
      intervalMs: probeIntervalMs,
      maxIntervalMs: probeMaxIntervalMs,
    })
    const report = (error: unknown) => app.log.error({ err: error }, 'the health monitor could not look')
    let isLooking = false
    const look = async () => {
      // Who is silent now may be there all the same, and what runs and waits has its grace.
      if (isClosing()) return
      prober.tick().catch(report)
      if (isLooking) return
      isLooking = true
      await monitor.tick().catch(report)
      isLooking = false
    }
    const timer = setInterval(look, healthTickMs).unref()
    app.decorate('healthMonitor', Object.assign(monitor, { prober }))
    app.addHook('onClose', async () => clearInterval(timer))
  },
  { name: 'health-monitor', dependencies: ['room-store', 'ollama-proxy'] },
)
