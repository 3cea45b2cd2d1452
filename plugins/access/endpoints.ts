import { isIP } from 'node:net'
import { InvalidEndpoint } from '../../schemas/errors.ts'
import { isLoopbackAddress, plainAddress } from './addresses.ts'

/** Where the hub itself can be reached, to refuse a participant that is the hub. */
export interface HubAddresses {
  /** Its own, and the one that the joiner knows it by where a port is mapped. */
  ports: ReadonlySet<number>
  /** Host names and addresses, in lower case, IPv6 without brackets. */
  hosts: ReadonlySet<string>
}

export interface ParsedEndpoint {
  origin: string
  basePath: string
}

const WHAT_IS_ALLOWED =
  "it may be the address that you join from or one of a private network, and loopback only for who joins on the hub's own machine"

/** Some systems connect to themselves there. */
function isUnspecified(host: string): boolean {
  return host === '::' || /^0(\.|$)/.test(host)
}

/**
 * Reads the base URL of an LLM server. Requests go to it without a trailing `/` or `/v1`, since clients give it either way.
 * @param allows whether the hub may connect to an address; a name is looked up when it connects
 * @throws PTL_INVALID_ENDPOINT with a sentence that says what to do
 */
export function parseEndpoint(
  endpoint: string,
  hub: HubAddresses,
  allows: (address: string) => boolean,
): ParsedEndpoint {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidEndpoint('endpoint must be an http or https URL like http://192.168.1.20:11434')
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidEndpoint('endpoint must not contain credentials: everybody in the room sees it')
  }
  // `?` and `#` alone leave `search` and `hash` empty, yet would cut off the path that is added behind them.
  if (/[?#]/.test(endpoint)) throw new InvalidEndpoint('endpoint must be a base URL without ? or #')
  if (hasHiddenCharacters(endpoint))
    throw new InvalidEndpoint('endpoint must not contain spaces, control characters or \\')
  if (isHub(url, hub)) throw new InvalidEndpoint("endpoint is this hub's own address: give that of your LLM server")
  const host = bareHost(url.hostname)
  const address = isLocalName(host) ? '127.0.0.1' : host
  if (isIP(address) !== 0 && !allows(address))
    throw new InvalidEndpoint(`endpoint must not be ${host}: ${WHAT_IS_ALLOWED}`)
  return { origin: url.origin, basePath: basePathOf(url) }
}

/** The URL parser drops tabs and line ends and turns `\` into `/`: what everybody sees would not be where requests go. */
function hasHiddenCharacters(endpoint: string): boolean {
  return /[\s\u0000-\u001F\u007F-\u009F\\]/.test(endpoint)
}

function basePathOf(url: URL): string {
  return url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '').replace(/\/+$/, '')
}

function isHub(url: URL, { ports, hosts }: HubAddresses): boolean {
  const urlPort = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  if (!ports.has(urlPort)) return false
  const host = plainAddress(bareHost(url.hostname))
  return isLocalName(host) || isLoopbackAddress(host) || isUnspecified(host) || hosts.has(host)
}

/** `::ffff:192.168.1.20`, also written `::ffff:c0a8:114`, is the same machine as its IPv4 address. */
export function unmappedAddress(address: string): string {
  if (!address.startsWith('::')) return address
  const mapped = /^::ffff:(?:(\d+(?:\.\d+){3})|([\da-f]{1,4}):([\da-f]{1,4}))$/i.exec(address)
  if (mapped === null) return address
  const [, dotted, high = '', low = ''] = mapped
  if (dotted !== undefined) return dotted
  const groups = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return groups.flatMap((group) => [group >> 8, group & 0xff]).join('.')
}

/** `[::1]` → `::1`, and without the dot that ends a fully qualified name. */
export function bareHost(host: string): string {
  const bare = host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
  return unmappedAddress(bare)
}

/** RFC 6761 §6.3: names that always mean this machine. */
function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}
