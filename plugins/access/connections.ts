import type { Socket } from 'node:net'
import type { Clock } from '../../schemas/clock.ts'
import { unmappedAddress } from './endpoints.ts'
import { networkOf } from './networks.ts'

export interface ConnectionsOptions {
  clock: Pick<Clock, 'elapsed'>
  /** Connections at once of one network (an IPv4 address, an IPv6 /64). */
  perNetwork: number
  /** Whether that address is everybody's: a proxy may have as many as it likes. */
  isShared(address: string): boolean
  /** Called at the first connection of a network that is refused, and then for what was refused in each minute. */
  onRefused(about: { network: string; refused: number }): void
}

const TELL_MS = 60_000

/** Those of one network that are open. */
interface Network {
  count: number
  readonly release: () => void
}

export type Connections = ReturnType<typeof createConnections>

/** One machine that opens connections without end would take the memory and the descriptors of everybody else. */
export function createConnections({ clock, perNetwork, isShared, onRefused }: ConnectionsOptions) {
  const networks = new Map<string, Network>()
  /** What nobody was told yet, by network. */
  const untold = new Map<string, number>()
  let tellAt = Number.NEGATIVE_INFINITY

  function networkNamed(name: string): Network {
    let network = networks.get(name)
    if (network === undefined) {
      // One for all of its connections: each of them is somebody's memory.
      const release = () => {
        fresh.count -= 1
        if (fresh.count === 0) networks.delete(name)
      }
      const fresh: Network = { count: 0, release }
      networks.set(name, fresh)
      network = fresh
    }
    return network
  }

  function tell(): void {
    for (const [network, refused] of untold) onRefused({ network, refused })
    untold.clear()
  }

  function tellInTime(): void {
    if (untold.size === 0) return
    const now = clock.elapsed()
    if (now < tellAt) return
    tellAt = now + TELL_MS
    tell()
  }

  function noteRefused(network: string): void {
    untold.set(network, (untold.get(network) ?? 0) + 1)
    tellInTime()
  }

  return {
    /** Networks that have any. */
    get size(): number {
      return networks.size
    },

    /** Counts a connection that was just accepted until it closes; one too many is closed at once, before it has said anything. */
    admit(socket: Socket): void {
      tellInTime()
      const { remoteAddress } = socket
      // It has gone already.
      if (remoteAddress === undefined) return
      const address = unmappedAddress(remoteAddress)
      if (isShared(address)) return
      const name = networkOf(address)
      const network = networkNamed(name)
      if (network.count < perNetwork) {
        network.count += 1
        socket.on('close', network.release)
        return
      }
      socket.destroy()
      noteRefused(name)
    },

    /** Node has closed one that was beyond what all may have. */
    noteDropped({ remoteAddress }: Pick<Socket, 'remoteAddress'>): void {
      noteRefused(remoteAddress === undefined ? 'unknown' : networkOf(unmappedAddress(remoteAddress)))
    },

    /** Tells what is left to tell. */
    close: tell,
  }
}

/** Of the files that a process may have open, what is not left for its own calls and for what it reads. */
const SHARE_OF_ALL = 7 / 8
/** So that one network leaves something for others. */
const SHARE_OF_ONE = 3 / 4

/**
 * @param wanted connections of one network
 * @param files that this process may have open at once
 * @returns how many all may have, and one network
 */
export function connectionLimits(wanted: number, files: number): { total: number; perNetwork: number } {
  const total = Math.max(1, Math.floor(files * SHARE_OF_ALL))
  return { total, perNetwork: Math.min(wanted, Math.max(1, Math.floor(total * SHARE_OF_ONE))) }
}
