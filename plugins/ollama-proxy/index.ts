import fp from 'fastify-plugin'
import { nanoid } from 'nanoid'
import { Agent } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
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
  /** @default 10000 */
  connectTimeoutMs: number
  /** @default 900000 */
  firstByteTimeoutMs: number
  /** @default 900000 */
  idleTimeoutMs: number
  /** @default 5000 */
  probeTimeoutMs: number
  /** How long requests in flight may go on when the hub shuts down. @default 30000 */
  graceMs: number
}

export default fp<OllamaProxyOptions>(
  async (app, { clock, connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, probeTimeoutMs, graceMs }) => {
    const agent = new Agent({ connect: { timeout: connectTimeoutMs }, allowH2: false })
    const proxy = createProxy({
      rooms: app.roomStore,
      events: app.eventBus,
      dispatcherFor: () => agent,
      clock,
      timeouts: { firstByteMs: firstByteTimeoutMs, idleMs: idleTimeoutMs },
      graceMs,
      hubId: `potluck-${nanoid(12)}`,
    })
    const probe = (record: ParticipantRecord) => probeEndpoint(agent, record.target, probeTimeoutMs)
    app.decorate('ollamaProxy', Object.assign(proxy, { protocols: PROTOCOLS, probe }))
    app.addHook('preClose', () => proxy.drain())
    app.addHook('onClose', () => agent.destroy())
  },
  { name: 'ollama-proxy', dependencies: ['event-bus', 'room-store'] },
)
