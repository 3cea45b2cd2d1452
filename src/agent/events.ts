import type { Specs } from '../../schemas/participant.ts'

/** How the hub reaches the LLM server. */
export type Via = 'tunnel' | 'direct'

/**
 * - `online`: it serves
 * - `paused`: its owner or the host lets nothing new in
 * - `reconnecting`: the hub can't be reached; it is tried again
 * - `waiting`: the room is gone; it is looked for again
 * - `away`: the LLM server does not answer; the room is told once it is back
 * - `leaving`: what runs is finished
 */
export type State = 'online' | 'paused' | 'reconnecting' | 'waiting' | 'away' | 'leaving'

/** What happens to one participant, for whoever shows it. No event carries a credential, a prompt or an answer. */
export type AgentEvent = { participantId: string } & AgentEventData

export type AgentEventData =
  | {
      event: 'joined'
      nickname: string
      kind: string
      server: string
      models: readonly string[]
      room: { code: string; name: string }
      /** For OpenAI's clients. */
      baseUrl: string
      via: Via
      specs: Specs
    }
  | { event: 'state'; state: State; reason?: string }
  | { event: 'models'; models: readonly string[]; added: readonly string[]; removed: readonly string[] }
  | { event: 'served'; requests: number; running: number; tokensPerSecond?: number }
  | { event: 'notice'; message: string }
  | { event: 'left'; reason: LeftReason; message?: string }

/**
 * - `asked`: by its owner, here or by `potluck leave`
 * - `removed`: by the room's host
 * - `refused`: the hub does not let it back in
 * - `replaced`: another process with its token took its place
 */
export type LeftReason = 'asked' | 'removed' | 'refused' | 'replaced'

export interface End {
  reason: LeftReason
  /** The hub's refusal, where it was one. */
  error?: unknown
}
