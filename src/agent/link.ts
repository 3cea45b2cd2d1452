import type { JoinBody } from '../../schemas/participant.ts'
import type { Via } from './events.ts'

/** Who joined, and by what it proves that. */
export interface Member {
  readonly code: string
  readonly id: string
  readonly token: string
}

/** Standing: the hub can send requests. */
export interface Link {
  /** Resolves once it is lost; never rejects. Absent for what can't tell. */
  readonly lost?: Promise<LinkLost>
  /** Says that the participant is still there. @throws as the hub's API */
  beat(signal: AbortSignal): Promise<void>
  /** Whether the hub has said that it shuts down: no call of its API says anything any more. Absent for what can't tell. */
  isHubClosing?(): boolean
  /** Requests that run, where that can be seen from here. */
  running(): number | undefined
  /** Requests so far and output tokens per second lately, where that can be seen from here. */
  served(): { requests: number; tokensPerSecond?: number } | undefined
  /** Resolves when nothing runs any more; whoever calls it has seen to it that nothing new comes. */
  drain(): Promise<void>
  close(): void
}

export interface LinkListener {
  /** A request has begun or ended. */
  onActivity(): void
  /** Somebody changed the participant. Not every way tells; the next look does. */
  onChanged(): void
}

/** A way for the hub to reach the LLM server. */
export interface Transport {
  readonly via: Via
  /** What join has to say of it. */
  joinFields(): Promise<Partial<JoinBody>>
  /** @throws as the hub's API; LinkLost */
  open(member: Member, signal: AbortSignal, listener: LinkListener): Promise<Link>
  /** Another way to try where the hub or the network refuses this one for good. */
  readonly fallback?: { isFor(error: unknown): boolean; transport: Transport; notice(error: unknown): string }
}

export type LossCode =
  | 'PTL_LINK_LOST'
  | 'PTL_LINK_LEFT'
  | 'PTL_LINK_REMOVED'
  | 'PTL_LINK_REPLACED'
  | 'PTL_HUB_UNREACHABLE'
  | 'PTL_ROOM_NOT_FOUND'
  | 'PTL_PARTICIPANT_NOT_FOUND'
  | 'PTL_TUNNEL_BLOCKED'
  | 'PTL_TUNNEL_VERSION'

/** The hub is there no more, or has ended the link for a reason. */
export class LinkLost extends Error {
  readonly code: LossCode
  constructor(code: LossCode, message: string) {
    super(message)
    this.name = 'LinkLost'
    this.code = code
  }
}
