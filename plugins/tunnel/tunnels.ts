import { createHash } from 'node:crypto'
import type { Dispatcher } from 'undici'
import type { WebSocket } from 'ws'
import type { Clock } from '../../schemas/clock.ts'
import { TUNNEL_CLOSE } from '../../schemas/tunnel.ts'
import type { Moved, WatchedRoomStore } from '../room-store/announce.ts'
import type { Claim, ParticipantRecord, Target } from '../room-store/store.ts'
import { NoTunnelDispatcher } from './http2-dispatcher.ts'
import { Tunnel } from './tunnel.ts'

export interface TunnelsOptions {
  rooms: Pick<WatchedRoomStore, 'heartbeat' | 'recordProbe' | 'watch'>
  clock: Pick<Clock, 'now'>
  /** How long what runs may go on when the participant leaves or its room is closed. */
  graceMs: number
  /** Of the whole hub: each holds a socket, and buffers. @default 10000 */
  maxTunnels?: number
  /** Of one room, so that no room takes all. @default 2000 */
  maxOfRoom?: number
  /** @default 10000 */
  pingIntervalMs?: number
  /** How long a tunnel may take until it stands. @default 10000 */
  handshakeMs?: number
  /** Something failed that nobody waits for. */
  onError(error: unknown): void
}

const MAX_TUNNELS = 10_000
const MAX_OF_ROOM = 2000

/** Tunnels that do not stand yet: each may be left so for a while by whoever knows one token. */
const MAX_OPENING = 3

/** Requests that outlast the grace of their room are ended one by one before that, and told why. */
const MARGIN_MS = 1000

interface Entry {
  readonly tunnel: Tunnel
  readonly record: ParticipantRecord
}

export type Tunnels = ReturnType<typeof createTunnels>

/** The tunnels of all participants: who has one is online, and is reached through it alone. */
export function createTunnels(options: TunnelsOptions) {
  const { rooms, clock, graceMs, onError, pingIntervalMs, handshakeMs } = options
  const { maxTunnels = MAX_TUNNELS, maxOfRoom = MAX_OF_ROOM } = options
  const times = {
    ...(pingIntervalMs === undefined ? {} : { pingIntervalMs }),
    ...(handshakeMs === undefined ? {} : { handshakeMs }),
  }
  /** Those that stand, by the participants' keys. */
  const standing = new Map<string, Entry>()
  const all = new Set<Entry>()
  const nowhere = new NoTunnelDispatcher()
  const stopWatching = rooms.watch((roomId, isClosed, moved) => {
    if (isClosed) endRoom(roomId)
    else if (moved !== undefined) tellMoved(moved.key, moved.why)
  })

  function endRoom(roomId: string): void {
    for (const { tunnel, record } of all) {
      if (record.roomId === roomId) tunnel.drain(TUNNEL_CLOSE.roomClosed, 'The room was closed', graceMs + MARGIN_MS)
    }
  }

  function tellMoved(key: string, why: Moved['why']): void {
    for (const { tunnel, record } of all) {
      if (record.key !== key) continue
      if (why === 'changed') tunnel.tellChange()
      else if (why === 'joined') tunnel.close(TUNNEL_CLOSE.replaced, 'The participant joined anew')
      else if (why === 'left') tunnel.drain(TUNNEL_CLOSE.left, 'The participant left', graceMs)
      else tunnel.drain(TUNNEL_CLOSE.removed, 'The participant was removed', graceMs)
    }
  }

  function stand(entry: Entry): void {
    const before = standing.get(entry.record.key)
    standing.set(entry.record.key, entry)
    // Whoever comes again need not wait until it is noticed that the first connection is dead.
    before?.tunnel.close(TUNNEL_CLOSE.replaced, 'Another tunnel of this participant took its place')
    beat(entry)
  }

  function beat({ record }: Entry): void {
    rooms.recordProbe(record, { at: clock.now() }).catch(onError)
  }

  function fall(entry: Entry, reason: string): void {
    if (standing.get(entry.record.key) !== entry) return
    standing.delete(entry.record.key)
    rooms.recordProbe(entry.record, { at: clock.now(), failure: reason, isFinal: true }).catch(onError)
  }

  function count(isCounted: (entry: Entry) => boolean): number {
    let found = 0
    for (const entry of all) if (isCounted(entry)) found += 1
    return found
  }

  /** One that stands may always be replaced: a dead connection must not keep its owner out. */
  function hasRoomFor({ key, roomId }: ParticipantRecord): boolean {
    if (count(({ record, tunnel }) => record.key === key && !tunnel.isUp) >= MAX_OPENING) return false
    if (standing.has(key)) return true
    return all.size < maxTunnels && count(({ record }) => record.roomId === roomId) < maxOfRoom
  }

  return {
    /** Where requests to a tunnelled participant go: to a name that leads nowhere, since nobody is ever dialled. */
    targetOf(roomId: string, participantId: string): Target {
      const name = createHash('sha256').update(`${roomId}/${participantId}`).digest('hex').slice(0, 32)
      return { origin: `http://${name}.tunnel.invalid`, basePath: '', isTunnel: true }
    },

    /** Whether another one may be opened for this participant. */
    hasRoomFor,

    /** Takes over a WebSocket of whoever has proven to be this participant. */
    async open(socket: WebSocket, record: ParticipantRecord, claim: Claim): Promise<void> {
      const tunnel = new Tunnel({
        socket,
        onUp: () => stand(entry),
        onBeat: () => beat(entry),
        onDown: (reason) => fall(entry, reason),
        onClosed: () => void all.delete(entry),
        ...times,
      })
      const entry = { tunnel, record }
      all.add(entry)
      // Its token was used: from now on its address proves nothing.
      await rooms.heartbeat(record.roomId, record.participant.id, claim, clock.now()).catch(() => {
        tunnel.close(TUNNEL_CLOSE.left, 'The participant left')
      })
    },

    dispatcherFor({ key, target }: ParticipantRecord): Dispatcher {
      const entry = standing.get(key)
      return entry?.record.target === target ? entry.tunnel.dispatcher : nowhere
    },

    get size(): number {
      return standing.size
    },

    /** The hub is about to shut down, and lets what runs finish. */
    tellClosing(): void {
      for (const { tunnel } of all) tunnel.tellClosing()
    },

    /** The hub shuts down. */
    close(): void {
      stopWatching()
      for (const { tunnel } of all) tunnel.close(TUNNEL_CLOSE.goingAway, 'The hub is shutting down')
    },
  }
}
