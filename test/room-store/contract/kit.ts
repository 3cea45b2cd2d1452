import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { hashToken } from '../../../plugins/access/tokens.ts'
import type { Claim, NewParticipant, NewRoom, ParticipantRecord, RoomStore } from '../../../plugins/room-store/store.ts'
import type { Participant } from '../../../schemas/participant.ts'
import { participant } from '../../support/participants.ts'

export interface StoreDriver {
  /** A store with nothing in it. The contract closes it. */
  create(): RoomStore | Promise<RoomStore>
  /** Another hub's store over the same rooms, where the driver can be shared; the contract closes it too. */
  createPeer?(store: RoomStore): RoomStore | Promise<RoomStore>
}

export type Topic = (t: Test, driver: StoreDriver) => void

/** Each test of a topic gets a store of its own. */
export function storeTests(t: Test, driver: StoreDriver) {
  return (name: string, body: (t: Test, store: RoomStore) => Promise<void>): void => {
    t.test(name, async (t) => {
      const store = await driver.create()
      t.teardown(() => store.close())
      await body(t, store)
    })
  }
}

export function newRoom(over: Partial<NewRoom> = {}): NewRoom {
  return {
    name: 'Kitchen',
    hostId: randomUUID(),
    hostTokenHash: hashToken('host'),
    listed: true,
    defaults: {},
    createdAt: 1000,
    ...over,
  }
}

export interface Newcomer extends Partial<Participant> {
  /** When it joins, ms. */
  at?: number
  token?: string
  /** null: addresses prove nothing. */
  address?: string | null
  liveness?: NewParticipant['liveness']
}

/** Alice with her token, from her address. */
export function newcomer(over: Newcomer = {}): NewParticipant {
  const { at = 1000, token = 'alice-token', address = '10.0.0.1', liveness, ...shown } = over
  return {
    participant: participant({ joinedAt: at, lastSeen: at, ...shown }),
    target: { origin: 'http://127.0.0.1:11434', basePath: '' },
    owner: { tokenHash: hashToken(token), tokenUsed: false, ...(address === null ? {} : { address }) },
    ...(liveness === undefined ? {} : { liveness }),
  }
}

export const byToken = (token: string): Claim => ({ tokenHash: hashToken(token) })
export const byAddress = (address: string): Claim => ({ address })
export const NOBODY: Claim = {}

/** Her claims, by the token and by the address that `newcomer` gives her. */
export const ALICE = byToken('alice-token')
export const FROM_HERS = byAddress('10.0.0.1')
export const FROM_ELSEWHERE = byAddress('10.0.0.9')

export async function openRoom(store: RoomStore, over: Partial<NewRoom> = {}): Promise<string> {
  return (await store.createRoom(newRoom(over))).room.id
}

/** A room with Alice in it. */
export async function openRoomWith(store: RoomStore, over: Newcomer = {}): Promise<string> {
  const roomId = await openRoom(store)
  await store.join(roomId, newcomer(over), NOBODY)
  return roomId
}

/** Joins under another id, as somebody else. */
export function joinAs(store: RoomStore, roomId: string, id: string, over: Newcomer = {}): Promise<ParticipantRecord> {
  return store.join(roomId, newcomer({ id, token: `${id}-token`, address: null, ...over }), NOBODY)
}

export async function idsIn(store: RoomStore, roomId: string): Promise<string[]> {
  return (await store.listParticipants(roomId)).map(({ participant }) => participant.id)
}

export function idsOf(records: readonly ParticipantRecord[]): string[] {
  return records.map(({ participant }) => participant.id).sort()
}

export async function showing(store: RoomStore, roomId: string, id: string): Promise<Participant> {
  return (await store.getParticipant(roomId, id)).participant
}

/** How many succeeded, and the codes of the failures, each once. */
export async function outcomes<T>(attempts: readonly Promise<T>[]): Promise<{ won: T[]; codes: string[] }> {
  const settled = await Promise.allSettled(attempts)
  const won = settled.filter((result) => result.status === 'fulfilled').map(({ value }) => value)
  const lost = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason as { code: string })
  return { won, codes: [...new Set(lost.map(({ code }) => code))] }
}

export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
