import type { IncomingMessage } from 'node:http'
import { type ClientOptions, WebSocket } from 'ws'
import { TUNNEL_LIMITS, TUNNEL_PROTOCOL, TUNNEL_VERSION_HEADER } from '../../../schemas/tunnel.ts'
import { TunnelConnectError } from './errors.ts'

export interface HandshakeOptions {
  readonly hub: URL
  readonly code: string
  readonly token: string
  /** Certificates to trust besides the system's, as PEM. */
  readonly ca?: string | Buffer
  readonly signal?: AbortSignal
}

/** A refusal is one sentence in JSON; more is no refusal of a hub's. */
const MAX_REFUSAL_BYTES = 16 * 1024

/** Opens the WebSocket. @throws TunnelConnectError */
export function openSocket({ hub, code, token, ca, signal }: HandshakeOptions): Promise<WebSocket> {
  const options: ClientOptions & { maxFragments: number; closeTimeout: number } = {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: TUNNEL_LIMITS.maxMessageBytes,
    maxFragments: TUNNEL_LIMITS.maxFragments,
    closeTimeout: TUNNEL_LIMITS.closeMs,
    handshakeTimeout: TUNNEL_LIMITS.handshakeMs,
    // The token is for this hub alone.
    followRedirects: false,
    ...(ca === undefined ? {} : { ca }),
  }
  const socket = new WebSocket(urlOf(hub, code), [TUNNEL_PROTOCOL], options)
  return new Promise((resolve, reject) => {
    const abort = () => {
      socket.terminate()
      reject(signal?.reason)
    }
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
    const settle = () => signal?.removeEventListener('abort', abort)
    socket.once('open', () => {
      settle()
      // Until somebody listens nothing may come.
      socket.pause()
      resolve(socket)
    })
    socket.on('error', (error) => {
      settle()
      reject(failureOf(error, hub))
    })
    socket.once('unexpected-response', (request, response) => {
      void refusalOf(response).then((refusal) => {
        settle()
        request.destroy()
        reject(refusal)
      })
    })
  })
}

function urlOf(hub: URL, code: string): URL {
  const url = new URL(`${hub.pathname.replace(/\/+$/, '')}/rooms/${encodeURIComponent(code)}/tunnel`, hub)
  url.protocol = hub.protocol === 'https:' ? 'wss:' : 'ws:'
  return url
}

function failureOf(error: Error & { code?: string }, hub: URL): TunnelConnectError {
  const { code, message } = error
  if (/subprotocol/.test(message)) return new TunnelConnectError('version', OTHER_VERSION, { cause: error })
  if (/Upgrade header|Sec-WebSocket|Parse Error/i.test(message) || code?.startsWith('HPE_') === true)
    return new TunnelConnectError('blocked', BLOCKED, { cause: error })
  const why = code ?? message
  return new TunnelConnectError('unreachable', `The hub cannot be reached at ${hub.origin}: ${why}`, {
    ...(code === undefined ? {} : { code }),
    cause: error,
  })
}

const OTHER_VERSION = `The hub speaks another version of tunnels than ${TUNNEL_PROTOCOL}: update potluck on the older side`
const BLOCKED = 'Something between here and the hub does not let WebSockets through'

async function refusalOf(response: IncomingMessage): Promise<TunnelConnectError> {
  const { statusCode: status = 0, headers } = response
  const spoken = headers[TUNNEL_VERSION_HEADER]
  const message = errorIn(await textOf(response))
  if (status === 426 && spoken !== undefined) {
    const isSame = spoken === TUNNEL_PROTOCOL
    // The hub saw a request that was no WebSocket any more.
    return new TunnelConnectError(isSame ? 'blocked' : 'version', isSame ? BLOCKED : (message ?? OTHER_VERSION), {
      status,
    })
  }
  if (message === undefined) return new TunnelConnectError('blocked', `${BLOCKED}: it answered ${status}`, { status })
  return new TunnelConnectError('refused', message, { status })
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response) {
      bytes += (chunk as Buffer).length
      if (bytes > MAX_REFUSAL_BYTES) break
      chunks.push(chunk as Buffer)
    }
  } catch {
    return ''
  }
  return Buffer.concat(chunks).toString()
}

function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown }
    return typeof error === 'string' ? error : undefined
  } catch {
    return undefined
  }
}
