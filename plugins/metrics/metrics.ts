import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { addProcessMetrics } from './process.ts'

/** What a request can come to. */
const OUTCOMES = ['complete', 'refused', 'failed', 'cancelled'] as const

/**
 * Each has few values, all of them names of the hub's own. A room, a participant, a model or an address is none: whoever
 * opens rooms would fill the memory of the hub, and of the Prometheus that reads it.
 */
type Label = 'protocol' | 'outcome' | 'direction' | 'status'

type Name = `potluck_${string}`

export interface ObservedRequest {
  /** As the hub names it. */
  protocol: string
  outcome: (typeof OUTCOMES)[number]
  /** The client asked for a stream. */
  stream: boolean
  durationMs: number
  /** To the first byte of the answer; absent: there was none. */
  ttftMs?: number
  inputTokens: number
  outputTokens: number
  /** The server told no tokens: they were counted by the hub. */
  estimated: boolean
}

export interface MetricsOptions {
  version: string
  /** A gauge could not be read. @default nobody is told */
  onUnreadable?: (name: string, error: unknown) => void
}

export type Metrics = ReturnType<typeof createMetrics>

/** From a cached answer to one that took ten minutes, s. */
const BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]

/** The numbers of one hub, for Prometheus: nothing is shared with others in the process, nothing runs by itself. */
export function createMetrics({ version, onUnreadable = () => {} }: MetricsOptions) {
  const registry = new Registry()
  addProcessMetrics(registry, version)
  const requests = addRequestMetrics(registry)

  function addGauge(name: Name, help: string, labelNames: Label[], read: (gauge: Gauge) => Promise<void>): void {
    async function collect(this: Gauge): Promise<void> {
      await read(this).catch((error: unknown) => {
        // What was read the last time says nothing of now.
        if (labelNames.length === 0) this.remove()
        else this.reset()
        onUnreadable(name, error)
      })
    }
    new Gauge({ name, help, labelNames, registers: [registry], collect })
  }

  return {
    /** A request that went to a participant has ended. */
    observe(request: ObservedRequest): void {
      requests.of(request.protocol)(request)
    },

    /** A value that is read when it is asked for; where that fails, it is left out. */
    gauge(name: Name, help: string, read: () => number | Promise<number>): void {
      addGauge(name, help, [], async (gauge) => gauge.set(await read()))
    },

    /** Like `gauge`, with a value for each value of a label. */
    gaugeBy<Value extends string>(
      label: Label,
      name: Name,
      help: string,
      read: () => Record<Value, number> | Promise<Record<Value, number>>,
    ): void {
      addGauge(name, help, [label], async (gauge) => {
        for (const [value, count] of Object.entries<number>(await read())) gauge.set({ [label]: value }, count)
      })
    },

    /** All of it, in the text format 0.0.4. */
    text: (): Promise<string> => registry.metrics(),

    contentType: registry.contentType,
  }
}

function addRequestMetrics(registry: Registry) {
  const metrics = defineRequestMetrics(registry)
  /** By protocol, with the labels filled in: finding them anew for each request costs more than counting it. */
  const observers = new Map<string, (request: ObservedRequest) => void>()

  return {
    of(protocol: string): (request: ObservedRequest) => void {
      let observer = observers.get(protocol)
      if (observer === undefined) {
        observer = createObserver(metrics, protocol)
        observers.set(protocol, observer)
      }
      return observer
    },
  }
}

function defineRequestMetrics(registry: Registry) {
  const counter = (name: Name, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const histogram = (name: Name, help: string) =>
    new Histogram({ name, help, labelNames: ['protocol'], buckets: BUCKETS, registers: [registry] })

  return {
    requests: counter('potluck_requests_total', 'Inference requests that went to a participant', 'protocol', 'outcome'),
    streamed: counter('potluck_requests_streamed_total', 'Inference requests that asked for a stream', 'protocol'),
    estimated: counter(
      'potluck_requests_estimated_total',
      'Inference requests whose tokens the hub guessed',
      'protocol',
    ),
    tokens: counter('potluck_tokens_total', 'Tokens that were read and written', 'protocol', 'direction'),
    duration: histogram('potluck_request_duration_seconds', 'From the request to its end, whatever came of it'),
    ttft: histogram('potluck_time_to_first_token_seconds', 'From the request to the first byte of the answer'),
  }
}

/** The first request brings all that may follow, at nought: of a counter that appears with an event, rates miss that event. */
function createObserver(metrics: ReturnType<typeof defineRequestMetrics>, protocol: string) {
  const begun = (counter: Counter, ...labels: string[]) => {
    const child = counter.labels(...labels)
    child.inc(0)
    return child
  }
  const requests = Object.fromEntries(
    OUTCOMES.map((outcome) => [outcome, begun(metrics.requests, protocol, outcome)]),
  ) as Record<ObservedRequest['outcome'], Counter.Internal>
  const [streamed, estimated] = [begun(metrics.streamed, protocol), begun(metrics.estimated, protocol)]
  const input = begun(metrics.tokens, protocol, 'input')
  const output = begun(metrics.tokens, protocol, 'output')
  const [duration, ttft] = [metrics.duration.labels(protocol), metrics.ttft.labels(protocol)]

  return (request: ObservedRequest): void => {
    requests[request.outcome].inc()
    if (request.stream) streamed.inc()
    if (request.estimated && request.inputTokens + request.outputTokens > 0) estimated.inc()
    input.inc(request.inputTokens)
    output.inc(request.outputTokens)
    duration.observe(request.durationMs / 1000)
    if (request.ttftMs !== undefined) ttft.observe(request.ttftMs / 1000)
  }
}
