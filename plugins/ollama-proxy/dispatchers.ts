import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import type { ParticipantRecord } from '../room-store/store.ts'

/** Node's `dns.lookup` with `all: true`. */
export type Resolver = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: { address: string; family: number }[]) => void,
) => void

export interface DispatchersOptions {
  /** Whether the hub may connect to this address for who joined from there. */
  allows(address: string, reach: { joinedFrom?: string }): boolean
  connectTimeoutMs: number
  /** How participants with a tunnel are reached. */
  tunnelOf(record: ParticipantRecord): Dispatcher
  /** @default the system's */
  resolver?: Resolver
}

/** An endpoint's name leads where the hub does not go: what was checked at join has changed, or was hidden by a name. */
export class ForbiddenAddress extends Error {
  readonly code = 'PTL_FORBIDDEN_ADDRESS'
}

/** Joiners with addresses of their own on the internet get agents of their own; this many are kept. */
const MAX_AGENTS = 256

export type Dispatchers = ReturnType<typeof createDispatchers>

const resolveAll: Resolver = (hostname, callback) => systemLookup(hostname, { all: true }, callback)

/**
 * How the hub reaches participants' endpoints. Every connection is checked on the address that it really goes to, so a name
 * that leads elsewhere than it did at join (DNS rebinding) gets nowhere. Connections are shared among participants who may
 * reach the same addresses, and among no others.
 */
export function createDispatchers({ allows, connectTimeoutMs, tunnelOf, resolver = resolveAll }: DispatchersOptions) {
  const agents = new Map<string, Agent>()

  function guardedLookup(reach: { joinedFrom?: string }): LookupFunction {
    return (hostname, options, callback) => {
      resolver(hostname, (error, addresses) => {
        if (error !== null) return callback(error, '', 0)
        const allowed = addresses.filter(({ address }) => allows(address, reach))
        const [first] = allowed
        if (first === undefined) return callback(new ForbiddenAddress(FORBIDDEN), '', 0)
        return options.all === true ? callback(null, allowed) : callback(null, first.address, first.family)
      })
    }
  }

  function createAgent(reach: { joinedFrom?: string }): Agent {
    const connect = buildConnector({ timeout: connectTimeoutMs, lookup: guardedLookup(reach), allowH2: false })
    const guarded: buildConnector.connector = (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, '')
      if (isIP(host) !== 0 && !allows(host, reach)) callback(new ForbiddenAddress(FORBIDDEN), null)
      else connect(options, callback)
    }
    return new Agent({ connect: guarded, allowH2: false })
  }

  function agentFor(key: string, reach: { joinedFrom?: string }): Agent {
    let agent = agents.get(key)
    if (agent !== undefined) return agent
    agent = createAgent(reach)
    agents.set(key, agent)
    const [oldest] = agents
    if (agents.size > MAX_AGENTS && oldest !== undefined) {
      agents.delete(oldest[0])
      void oldest[1].close()
    }
    return agent
  }

  return {
    dispatcherFor(record: ParticipantRecord): Dispatcher {
      const { joinedFrom, isTunnel } = record.target
      if (isTunnel === true) return tunnelOf(record)
      return joinedFrom === undefined ? agentFor('', {}) : agentFor(joinedFrom, { joinedFrom })
    },

    async destroy(): Promise<void> {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()))
    },
  }
}

const FORBIDDEN = 'Its endpoint leads to an address that the hub does not connect to'
