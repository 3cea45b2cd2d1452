import { BlockList, isIP } from 'node:net'
import { InvalidEndpoint } from '../../schemas/errors.ts'

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

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addSubnet('0.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')
LOOPBACK.addAddress('::', 'ipv6')

/**
 * Reads the base URL of an LLM server. Requests go to it without a trailing `/` or `/v1`, since clients give it either way.
 * @throws PTL_INVALID_ENDPOINT with a sentence that says what to do
 */
export function parseEndpoint(endpoint: string, hub: HubAddresses): ParsedEndpoint {
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
  const host = bareHost(url.hostname)
  return isLoopback(host) || hosts.has(host)
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  const family = isIP(host)
  return family !== 0 && LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

/** `::ffff:192.168.1.20`, also written `::ffff:c0a8:114`, is the same machine as its IPv4 address. */
export function unmappedAddress(address: string): string {
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
