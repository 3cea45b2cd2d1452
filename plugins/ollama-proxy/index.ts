import type { IncomingHttpHeaders } from 'node:http'
import fp from 'fastify-plugin'
import { nanoid } from 'nanoid'
import type { Clock } from '../../schemas/clock.ts'
import type { Running, Tag } from '../../schemas/ollama.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
import { createDispatchers, type Resolver } from './dispatchers.ts'
import { mergeRunning, mergeTags, oldestVersion } from './ollama-lists.ts'
import { type ProbeResult, probeEndpoint } from './probe.ts'
import { PROTOCOLS, pathWithin, protocolAt } from './protocols/index.ts'
import type { Protocol } from './protocols/protocol.ts'
import { createProxy, type InferenceProxy, type Served } from './proxy.ts'
import { createSurvey } from './survey.ts'

declare module 'fastify' {
  interface FastifyInstance {
    ollamaProxy: InferenceProxy & {
      /** The APIs that pass through. */
      protocols: typeof PROTOCOLS
      /** The protocol whose clients would ask for this URL; undefined where it is none's. */
      protocolFor(url: string, headers: IncomingHttpHeaders): Protocol | undefined
      /** Whether an LLM server answers at the participant's endpoint. */
      probe(record: ParticipantRecord): Promise<ProbeResult>
      /** What all participants' Ollama servers tell, as one. */
      lists: {
        tags(records: readonly ParticipantRecord[]): Promise<Tag[]>
        running(records: readonly ParticipantRecord[]): Promise<Running[]>
        version(records: readonly ParticipantRecord[]): Promise<string>
      }
    }
  }
}

export interface OllamaProxyOptions {
  clock: Clock
  /** @default the system's */
  resolver?: Resolver
  /** @default 10000 */
  connectTimeoutMs: number
  /** @default 900000 */
  firstByteTimeoutMs: number
  /** @default 900000 */
  idleTimeoutMs: number
  /** @default 900000 */
  stallTimeoutMs: number
  /** @default 5000 */
  probeTimeoutMs: number
  /** Bytes. @default 33554432 */
  inferenceBodyLimit: number
  /** How long a stream's first token is waited for while somebody else is free. @default 10000 */
  firstTokenMs: number
  /** @default 3 */
  maxAttempts: number
  /** 0: never. @default 20000 */
  streamKeepAliveMs: number
  /** Requests that wait in one room. @default 10000 */
  queueLength: number
  /** @default 600000 */
  queueTimeoutMs: number
  /** Of participants that don't say. @default 1 */
  defaultSlots: number
  /** @default 30000 */
  learnIntervalMs: number
  /** How long requests in flight may go on when the hub shuts down. @default 30000 */
  graceMs: number
}

export default fp<OllamaProxyOptions>(
  async (app, options) => {
    const { clock, resolver, connectTimeoutMs, probeTimeoutMs, inferenceBodyLimit, graceMs, defaultSlots } = options
    const { policy } = app.access
    const { dispatcherFor, destroy } = createDispatchers({
      allows: (address, reach) => policy.allows(address, reach),
      connectTimeoutMs,
      tunnelOf: (record) => app.tunnel.dispatcherFor(record),
      ...(resolver === undefined ? {} : { resolver }),
    })
    const proxy = createProxy({
      rooms: app.roomStore,
      events: app.eventBus,
      dispatcherFor,
      clock,
      limits: {
        firstByteMs: options.firstByteTimeoutMs,
        idleMs: options.idleTimeoutMs,
        stallMs: options.stallTimeoutMs,
        firstTokenMs: options.firstTokenMs,
        maxAttempts: options.maxAttempts,
        streamKeepAliveMs: options.streamKeepAliveMs,
      },
      queue: {
        length: options.queueLength,
        lengthOfClient: Math.max(LEAST_OF_CLIENT, Math.ceil(options.queueLength / 2)),
        waitMs: options.queueTimeoutMs,
      },
      defaultSlots,
      learnIntervalMs: options.learnIntervalMs,
      bodyLimit: inferenceBodyLimit,
      graceMs,
      hubId: `potluck-${nanoid(12)}`,
      observe: (served) => app.metrics.observe(observationOf(served)),
    })
    const survey = createSurvey({ dispatcherFor, clock })
    const lists = {
      tags: async (records: readonly ParticipantRecord[]) => mergeTags(await survey.of(records, '/api/tags')),
      running: async (records: readonly ParticipantRecord[]) => mergeRunning(await survey.of(records, '/api/ps')),
      version: async (records: readonly ParticipantRecord[]) => oldestVersion(await survey.of(records, '/api/version')),
    }
    const probe = (record: ParticipantRecord) => probeEndpoint(dispatcherFor(record), record.target, probeTimeoutMs)
    const protocolFor = (url: string, headers: IncomingHttpHeaders) => {
      const path = pathWithin(url)
      return path === undefined ? undefined : protocolAt(path, headers)
    }
    app.decorate('ollamaProxy', Object.assign(proxy, { protocols: PROTOCOLS, protocolFor, probe, lists }))
    app.metrics.gauge(
      'potluck_requests_in_flight',
      'Requests of inference that have not ended yet',
      () => proxy.inFlight,
    )
    app.metrics.gauge('potluck_requests_waiting', 'Requests that wait for their turn', () => proxy.waiting)
    app.addHook('preClose', () => proxy.drain())
    app.addHook('onClose', destroy)
  },
  { name: 'ollama-proxy', dependencies: ['access', 'event-bus', 'metrics', 'room-store', 'tunnel'] },
)

/** Requests that one client may have waiting in a room, however short its queue is. */
const LEAST_OF_CLIENT = 100

const NO_USAGE = { inputTokens: 0, outputTokens: 0 }

function observationOf({ protocol, stream, durationMs, outcome, usage }: Served) {
  const about = { protocol, stream, durationMs, outcome: outcome.kind === 'passed' ? 'failed' : outcome.kind } as const
  if (outcome.kind !== 'complete') return { ...about, ...(usage() ?? NO_USAGE), estimated: true }
  const { ttftMs, inputTokens, outputTokens, estimated } = outcome.metrics
  return { ...about, ttftMs, inputTokens, outputTokens, estimated }
}
