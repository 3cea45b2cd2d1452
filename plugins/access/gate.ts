import {
  AdminOnly,
  ConflictingCredentials,
  Forbidden,
  HostOnly,
  HostTokenRequired,
  InvalidPassword,
  PasswordRequired,
} from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import type { PersonalKey, RoomRecord, RoomStore } from '../room-store/store.ts'
import type { Guesses } from './guesses.ts'
import { networkOf } from './networks.ts'
import { isForEverybody, mayDo, type Operation, type Role } from './operations.ts'
import type { Passwords } from './passwords.ts'
import type { Tickets } from './tickets.ts'
import { hashToken } from './tokens.ts'
import type { Verified } from './verified.ts'

/** Who the sender of a request was found to be. */
export interface Identity {
  readonly role: Role
  readonly participantId?: string
  /** The personal key that was shown. */
  readonly key?: PersonalKey
}

/** What a request shows of its sender. */
export interface Shown {
  readonly credential?: string
  /** It shows two that differ. */
  readonly isConflicting?: boolean
  /** Of an event stream. */
  readonly ticket?: string
  /** Where it came from, for counting wrong guesses. */
  readonly address: string
}

export interface GateOptions {
  rooms: Pick<RoomStore, 'findToken'>
  passwords: Passwords
  guesses: Guesses
  verified: Verified
  tickets: Tickets
  /** Absent: the hub has no admin, and what only an admin may, everybody may. */
  adminTokenHash?: string
}

export type Gate = ReturnType<typeof createGate>

/** Finds out who somebody is, and lets them do what the table of operations says. */
export function createGate({ rooms, passwords, guesses, verified, tickets, adminTokenHash }: GateOptions) {
  /** Tokens first: they cost nothing and are never throttled. */
  async function holderOf({ room, hostTokenHash }: RoomRecord, tokenHash: string): Promise<Identity | undefined> {
    if (sameHash(hostTokenHash, tokenHash)) return { role: 'host' }
    const holder = await rooms.findToken(room.id, tokenHash)
    if (holder === undefined) return undefined
    return holder.role === 'key'
      ? { role: 'guest', key: holder.key }
      : { role: 'participant', participantId: holder.participantId }
  }

  async function isPassword(record: RoomRecord, text: string, address: string): Promise<boolean> {
    const { passwordHash, room } = record
    if (passwordHash === undefined) return false
    // Remembered for who sent it from there: else the quick answer would tell others which of their guesses is right.
    const from = networkOf(address)
    if (verified.has(passwordHash, text, from)) return true
    const takeBack = guesses.begin(address, room.id)
    const isRight = await passwords.verify(text, passwordHash).catch((error: unknown) => {
      // It was not even looked at.
      takeBack()
      throw error
    })
    if (!isRight) return false
    takeBack()
    verified.add(passwordHash, text, from)
    return true
  }

  /** Of who shows no credential. A ticket stands in a URL, where others may see it: it opens the event stream and nothing else. */
  function roleWithout(operation: Operation, record: RoomRecord, ticket: string | undefined): 'guest' | 'stranger' {
    const isGuest = record.passwordHash === undefined || (operation === 'watchRoom' && hasTicket(record, ticket))
    return isGuest ? 'guest' : 'stranger'
  }

  async function identify(record: RoomRecord, credential: string, address: string): Promise<Identity> {
    const holder = await holderOf(record, hashToken(credential))
    if (holder !== undefined) return holder
    // In an open room an unknown key is ignored: clients that must have one make one up.
    if (record.passwordHash === undefined) return { role: 'guest' }
    return { role: (await isPassword(record, credential, address)) ? 'guest' : 'stranger' }
  }

  function hasTicket({ room, passwordHash }: RoomRecord, ticket: string | undefined): boolean {
    return ticket !== undefined && tickets.isValid(ticket, { roomId: room.id, passwordHash })
  }

  /** Why not: 401 where a credential is missing or wrong, 403 where a right one does not suffice. */
  function refusal(operation: Operation, { role }: Identity, { credential, ticket }: Shown, isLocked: boolean): Error {
    const isHostOnly = mayDo(operation, 'host') && !mayDo(operation, 'guest')
    // The base contract's own words, whether a password was sent or not.
    if (operation === 'join') return new InvalidPassword()
    if (role === 'stranger')
      return credential === undefined && ticket === undefined ? new PasswordRequired() : new InvalidPassword()
    if (!isHostOnly) return new Forbidden('Your credential does not allow this')
    const isProven = role === 'participant' || (role === 'guest' && isLocked)
    return isProven ? new HostOnly() : new HostTokenRequired()
  }

  return {
    /**
     * Finds out who wants to do this in the room; at once where nothing was shown.
     * @throws PTL_PASSWORD_REQUIRED, PTL_INVALID_PASSWORD, PTL_HOST_TOKEN_REQUIRED (401), PTL_HOST_ONLY (403),
     * PTL_TOO_MANY_GUESSES (429), PTL_HUB_BUSY (503)
     */
    enter(operation: Operation, record: RoomRecord, shown: Shown): Identity | Promise<Identity> {
      const { credential, ticket, address } = shown
      if (isForEverybody(operation)) return { role: 'stranger' }
      // In an open room most clients' keys mean nothing, be they two.
      if (shown.isConflicting === true && record.passwordHash !== undefined) throw new ConflictingCredentials()
      const admit = (identity: Identity): Identity => {
        if (mayDo(operation, identity.role)) return identity
        // A personal key is a right credential too, wherever it was shown.
        throw refusal(operation, identity, shown, record.passwordHash !== undefined || identity.key !== undefined)
      }
      return credential === undefined
        ? admit({ role: roleWithout(operation, record, ticket) })
        : identify(record, credential, address).then(admit)
    },

    /** Checks the password that a join has in its body. @throws PTL_INVALID_PASSWORD, PTL_TOO_MANY_GUESSES */
    async checkPassword(record: RoomRecord, password: string, address: string): Promise<void> {
      if (!(await isPassword(record, password, address))) throw new InvalidPassword()
    },

    /** What is not about a room. @throws PTL_ADMIN_ONLY */
    enterHub(operation: Operation, { credential }: Pick<Shown, 'credential'>): void {
      if (isForEverybody(operation) || adminTokenHash === undefined) return
      if (credential === undefined || !sameHash(adminTokenHash, hashToken(credential))) throw new AdminOnly()
    },
  }
}
