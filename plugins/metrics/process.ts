import { Counter, Gauge, type Registry } from 'prom-client'

/**
 * The few of prom-client's own defaults that tell something here. Those come with timers and observers that outlive a hub;
 * these are read when they are asked for.
 */
export function addProcessMetrics(registry: Registry, version: string): void {
  const registers = [registry]
  new Gauge({
    name: 'potluck_build_info',
    help: 'Always 1: what runs is in the labels',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1)
  new Gauge({
    name: 'potluck_process_start_time_seconds',
    help: 'When the process was started, s since the epoch',
    registers,
  }).set(performance.timeOrigin / 1000)
  new Gauge({
    name: 'potluck_process_resident_memory_bytes',
    help: 'Memory of the process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  addTotal(registry, 'potluck_process_cpu_seconds_total', 'CPU time of the process', cpuSeconds)
  // A utilization would be that of the time since somebody, perhaps somebody else, last asked.
  addTotal(
    registry,
    'potluck_event_loop_active_seconds_total',
    'Time that the event loop was not idle: its rate is the utilization',
    () => performance.eventLoopUtilization().active / 1000,
  )
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** What the runtime counts by itself. */
function addTotal(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}
