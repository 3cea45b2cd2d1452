import { TUNNEL_CLOSE } from '../../schemas/tunnel.ts'
import { type Link, LinkLost, type LossCode, type Member, type Transport } from './link.ts'
import type { Headers } from './llm/question.ts'
import type { LlmServer } from './llm/server.ts'
import { createServedMeter } from './served-meter.ts'
import { connectTunnel, TunnelConnectError, type TunnelEnd } from './tunnel/index.ts'

export interface TunnelledOptions {
  hubUrl: string
  server: LlmServer
  /** The owner's credentials for the LLM server. */
  headers: Headers
  /** Whether the room may fetch and delete models. */
  manage: boolean
  /** Where no WebSocket gets through, or the hub knows no tunnels; absent: nothing else will do. */
  direct?: Transport | undefined
}

/** The hub reaches the LLM server through a connection that the participant opens: no port, no address, no route. */
export function tunnelTransport({ hubUrl, server, headers, manage, direct }: TunnelledOptions): Transport {
  let onActivity = () => {}
  // It counts on over all tunnels: one that breaks has served all the same.
  const meter = createServedMeter(() => onActivity())
  return {
    via: 'tunnel',
    joinFields: async () => ({ tunnel: true }),
    async open(member, signal, listener): Promise<Link> {
      onActivity = () => listener.onActivity()
      const endpoint = new URL(server.url)
      const options = {
        hub: new URL(hubUrl),
        endpoint,
        headers,
        manage,
        signal,
        onChanged: () => listener.onChanged(),
        observer: meter.observer,
      }
      const tunnel = await connectTunnel({ ...options, ...member }).catch((error: unknown) => {
        throw signal.aborted ? signal.reason : failureOf(error, member)
      })
      return {
        lost: tunnel.closed.then(lossOf),
        // The hub's pings are the heartbeats.
        beat: async () => {},
        running: meter.running,
        isHubClosing: () => tunnel.isHubClosing,
        served: meter.served,
        // Nothing new comes, since it is paused; what is left when the tunnel breaks can't be finished.
        drain: async () => void (await Promise.race([meter.idle(), tunnel.closed])),
        close: () => tunnel.close(),
      }
    },
    ...(direct === undefined ? {} : { fallback: { isFor: isClosedWay, transport: direct, notice: noticeFor } }),
  }
}

/** As the failures of the hub's own API are told. */
function failureOf(error: unknown, { code }: Member): unknown {
  if (!(error instanceof TunnelConnectError)) return error
  const { kind, status = 0, message } = error
  if (kind === 'unreachable') return new LinkLost('PTL_HUB_UNREACHABLE', message)
  if (kind === 'blocked') return new LinkLost('PTL_TUNNEL_BLOCKED', message)
  if (kind === 'version') return new LinkLost('PTL_TUNNEL_VERSION', message)
  if (status === 404 && message === 'Room not found') return new LinkLost('PTL_ROOM_NOT_FOUND', `No room ${code}`)
  // The token is nobody's here, or that of one who joined by an endpoint.
  if (status === 401 || status === 404 || status === 409) return new LinkLost('PTL_PARTICIPANT_NOT_FOUND', message)
  return status === 0 || status >= 500 ? new LinkLost('PTL_LINK_LOST', message) : error
}

const LOSSES: ReadonlyMap<number, LossCode> = new Map([
  [TUNNEL_CLOSE.left, 'PTL_LINK_LEFT'],
  [TUNNEL_CLOSE.removed, 'PTL_LINK_REMOVED'],
  [TUNNEL_CLOSE.replaced, 'PTL_LINK_REPLACED'],
  [TUNNEL_CLOSE.roomClosed, 'PTL_ROOM_NOT_FOUND'],
])

function lossOf({ code, reason }: TunnelEnd): LinkLost {
  return new LinkLost(LOSSES.get(code) ?? 'PTL_LINK_LOST', reason)
}

/** A hub of before the tunnel misses the endpoint. */
function isClosedWay(error: unknown): boolean {
  const { code, status, message } = error as { code?: string; status?: number; message?: string }
  return code === 'PTL_TUNNEL_BLOCKED' || (status === 400 && /^Missing required fields/.test(message ?? ''))
}

function noticeFor(error: unknown): string {
  return `No tunnel: ${(error as Error).message}. The hub calls the LLM server itself instead, as with --direct`
}
