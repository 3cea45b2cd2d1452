import type { Clock } from '../../schemas/clock.ts'
import { hashToken, mintToken } from './tokens.ts'

/** How long a ticket is good without a stream; an EventSource that lost its connection comes back with the same URL. */
export const TICKET_MS = 5 * 60_000

/** Tickets at once, per hub: without a bound whoever may ask for one could fill the memory. */
export const MAX_TICKETS = 20_000

interface Ticket {
  readonly roomId: string
  /** Of the moment when it was given out: a new password ends what the old one opened. */
  readonly passwordHash: string | undefined
  expiresAt: number
  streams: number
}

export interface IssuedTicket {
  ticket: string
  /** ms since the epoch; later where a stream is open then. */
  expiresAt: number
}

export interface TicketRoom {
  roomId: string
  passwordHash: string | undefined
}

export type Tickets = ReturnType<typeof createTickets>

/** What stands in the URL of an event stream instead of a password: it opens that one stream, and soon nothing. */
export function createTickets({ clock }: { clock: Clock }) {
  const tickets = new Map<string, Ticket>()

  function forgetExpired(): void {
    const now = clock.elapsed()
    for (const [hash, ticket] of tickets) {
      if (ticket.streams === 0 && (ticket.expiresAt <= now || tickets.size >= MAX_TICKETS)) tickets.delete(hash)
    }
  }

  function valid(text: string, room: TicketRoom): Ticket | undefined {
    const ticket = tickets.get(hashToken(text))
    if (ticket === undefined || ticket.roomId !== room.roomId || ticket.passwordHash !== room.passwordHash)
      return undefined
    return ticket.streams > 0 || ticket.expiresAt > clock.elapsed() ? ticket : undefined
  }

  return {
    issue({ roomId, passwordHash }: TicketRoom): IssuedTicket {
      forgetExpired()
      const { token, hash } = mintToken()
      tickets.set(hash, { roomId, passwordHash, expiresAt: clock.elapsed() + TICKET_MS, streams: 0 })
      return { ticket: token, expiresAt: clock.now() + TICKET_MS }
    },

    isValid(text: string, room: TicketRoom): boolean {
      return valid(text, room) !== undefined
    },

    /** A stream was opened with it. @returns call it when the stream has ended */
    hold(text: string, room: TicketRoom): () => void {
      const ticket = valid(text, room)
      if (ticket === undefined) return () => {}
      ticket.streams += 1
      return () => {
        ticket.streams -= 1
        ticket.expiresAt = clock.elapsed() + TICKET_MS
      }
    },
  }
}
