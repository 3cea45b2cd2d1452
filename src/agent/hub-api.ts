import type { JoinBody, Participant, ParticipantPatch, Performance } from '../../schemas/participant.ts'

export interface HubCallOptions {
  credential?: string | undefined
  signal?: AbortSignal | undefined
}

/** What the participant's side needs of a client of the hub; it throws errors with a `code` of the catalogue. */
export interface HubApi {
  join(
    code: string,
    body: JoinBody,
    options?: HubCallOptions,
  ): Promise<{ participant: Participant; roomId: string; token: string }>
  room(code: string, options?: HubCallOptions): Promise<{ id: string; code: string; name: string }>
  heartbeat(code: string, id: string, options?: HubCallOptions): Promise<void>
  participant(
    code: string,
    id: string,
    options?: HubCallOptions,
  ): Promise<Participant & { performance?: Performance | undefined }>
  updateParticipant(code: string, id: string, patch: ParticipantPatch, options?: HubCallOptions): Promise<Participant>
  leave(code: string, id: string, options?: HubCallOptions): Promise<void>
}

export interface Refusal {
  code: string
  message: string
  retryAfterMs: number | undefined
}

export function refusalOf(error: unknown): Refusal {
  const { code, message, retryAfterMs } = error as { code?: unknown; message?: unknown; retryAfterMs?: unknown }
  return {
    code: typeof code === 'string' ? code : 'PTL_INTERNAL',
    message: String(message),
    retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
  }
}

/**
 * The hub is away, restarts, or is too busy: the same call may work later. So may it where something else answers: that is what
 * a network with a login page does until one has logged in.
 */
const PASSING = new Set([
  'PTL_HUB_UNREACHABLE',
  'PTL_HUB_FAILED',
  'PTL_NOT_A_HUB',
  'PTL_TOO_MANY_GUESSES',
  'PTL_LINK_LOST',
])

export function isPassing({ code }: Refusal): boolean {
  return PASSING.has(code)
}
