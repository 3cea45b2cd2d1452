import fp from 'fastify-plugin'
import { nanoid } from 'nanoid'
import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
import { createDispatchers, type Resolver } from './dispatchers.ts'
import { type ProbeResult, probeEndpoint } from './probe.ts'
import { openaiChat } from './protocols/openai-chat.ts'
import { createProxy, type InferenceProxy } from './proxy.ts'

/** The APIs that pass through, by the name that events use. */
export const PROTOCOLS = { openaiChat } as const

declare module 'fastify' {
  interface FastifyInstance {
    ollamaProxy: InferenceProxy & {
      protocols: typeof PROTOCOLS
      /** Whether an LLM server answers at the participant's endpoint. */
      probe(record: ParticipantRecord): Promise<ProbeResult>
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
  /** How long requests in flight may go on when the hub shuts down. @default 30000 */
  graceMs: number
}

export default fp<OllamaProxyOptions>(
  async (
    app,
    { clock, resolver, connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, stallTimeoutMs, probeTimeoutMs, graceMs },
  ) => {
    const { policy } = app.access
    const dispatchers = createDispatchers({
      allows: (address, reach) => policy.allows(address, reach),
      connectTimeoutMs,
      ...(resolver === undefined ? {} : { resolver }),
    })
    const proxy = createProxy({
      rooms: app.roomStore,
      events: app.eventBus,
      dispatcherFor: dispatchers.dispatcherFor,
      clock,
      timeouts: { firstByteMs: firstByteTimeoutMs, idleMs: idleTimeoutMs, stallMs: stallTimeoutMs },
      graceMs,
      hubId: `potluck-${nanoid(12)}`,
    })
    const probe = (record: ParticipantRecord) =>
      probeEndpoint(dispatchers.dispatcherFor(record), record.target, probeTimeoutMs)
    app.decorate('ollamaProxy', Object.assign(proxy, { protocols: PROTOCOLS, probe }))
    app.addHook('preClose', () => proxy.drain())
    app.addHook('onClose', () => dispatchers.destroy())
  },
  { name: 'ollama-proxy', dependencies: ['access', 'event-bus', 'room-store'] },
)
