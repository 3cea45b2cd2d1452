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
  /** Called once a minute at most, while connections are refused. */
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
  let refused = 0
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

  function refuse(socket: Socket, network: string): void {
    socket.destroy()
    refused += 1
    const now = clock.elapsed()
    if (now < tellAt) return
    onRefused({ network, refused })
    refused = 0
    tellAt = now + TELL_MS
  }

  return {
    /** Counts a connection that was just accepted until it closes; one too many is closed at once, before it has said anything. */
    admit(socket: Socket): void {
      const { remoteAddress } = socket
      // It has gone already.
      if (remoteAddress === undefined) return
      const address = unmappedAddress(remoteAddress)
      if (isShared(address)) return
      const name = networkOf(address)
      const network = networkNamed(name)
      if (network.count >= perNetwork) {
        refuse(socket, name)
        return
      }
      network.count += 1
      socket.on('close', network.release)
    },
  }
}
