import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { HubApi } from './hub-api.ts'
import type { Link, Transport } from './link.ts'
import { KIND_NAMES, type LlmServer, lookAt } from './llm/server.ts'

export interface DirectOptions {
  hub: HubApi
  hubUrl: string
  server: LlmServer
}

const CONNECT_TIMEOUT_MS = 5000

/** The hub can't reach the LLM server, and what would help. */
export class OutOfReach extends Error {
  readonly code = 'PTL_OUT_OF_REACH'
}

/** The hub calls the LLM server itself; the participant says by heartbeats that it is there. */
export function directTransport({ hub, hubUrl, server }: DirectOptions): Transport {
  return {
    via: 'direct',
    joinFields: async () => ({ endpoint: await endpointFor(hubUrl, server) }),
    async open({ code, id, token }, signal): Promise<Link> {
      const beat = (signal: AbortSignal) => hub.heartbeat(code, id, { credential: token, signal })
      await beat(signal)
      return { beat, running: () => undefined, served: () => undefined, drain: async () => {}, close: () => {} }
    },
  }
}

/**
 * The LLM server's address as seen from the hub: a loopback address means the hub's own machine there, so from another machine it
 * is the address that this one has on the way to the hub.
 * @throws OutOfReach
 */
export async function endpointFor(hubUrl: string, server: LlmServer): Promise<string> {
  const url = new URL(server.url)
  if (!isLoopback(url.hostname)) return server.url
  const { localAddress, remoteAddress } = await routeTo(hubUrl)
  if (localAddress === remoteAddress || isLoopback(remoteAddress)) return server.url
  url.hostname = localAddress.includes(':') ? `[${localAddress}]` : localAddress
  const endpoint = url.href.replace(/\/+$/, '')
  const look = await lookAt(endpoint)
  if (look.kind === 'silent') throw new OutOfReach(adviceFor(server, endpoint))
  return endpoint
}

function adviceFor({ kind, url }: LlmServer, endpoint: string): string {
  const how = kind === 'ollama' ? 'start it with OLLAMA_HOST=0.0.0.0' : 'let it listen on the LAN'
  return `${KIND_NAMES[kind]} at ${url} listens on this machine only, so the hub can't call ${endpoint}: ${how}, or join without --direct`
}

async function routeTo(hubUrl: string): Promise<{ localAddress: string; remoteAddress: string }> {
  const { hostname, port, protocol } = new URL(hubUrl)
  const socket: Socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
  })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) })
    const { localAddress = '', remoteAddress = '' } = socket
    return { localAddress: unmapped(localAddress), remoteAddress: unmapped(remoteAddress) }
  } catch (error) {
    throw new OutOfReach(`This machine's address on the way to ${hubUrl} can't be found: ${(error as Error).message}`)
  } finally {
    socket.destroy()
  }
}

/** RFC 4291 §2.5.5.2 */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '').replace(/%.*$/, '')
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host === '::1' || /^127\./.test(host)
}
