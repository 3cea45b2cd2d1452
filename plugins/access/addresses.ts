import ipaddr from 'ipaddr.js'

export interface AddressPolicyOptions {
  /** Whether endpoints may be on the internet. @default false */
  allowPublic: boolean
}

/** What somebody may have the hub connect to. */
export interface Reach {
  /** Where they joined from; absent where that proves nothing. */
  readonly joinedFrom?: string
}

/**
 * Metadata services that stand outside the link-local range: AWS (IPv6), Alibaba, Azure's host agent, Oracle.
 * https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
 */
const METADATA = new Set([
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  'fd00:42::42',
  'fd00:a9fe:a9fe::1',
  'fd00:c1::a9fe:a9fe',
  'fd20:ce::254',
])

/** AWS keeps more than one service there, and nobody else's private network is likely to be. */
const AWS_SERVICES = ipaddr.parseCIDR('fd00:ec2::/32')

/** NAT64 for local use (RFC 8215): where in it the IPv4 address stands depends on the network, so it can't be judged. */
const LOCAL_NAT64 = ipaddr.parseCIDR('64:ff9b:1::/48')

/** Nothing that anybody serves a model at: these are refused to everybody. */
const FORBIDDEN_RANGES = new Set([
  'unspecified',
  'broadcast',
  'multicast',
  'linkLocal',
  'teredo',
  'discard',
  'deprecatedSiteLocal',
  'deprecatedOrchid',
  'orchid2',
])

/** What a LAN is made of; carrier-grade NAT is where overlay networks like Tailscale live. */
const PRIVATE_RANGES = new Set(['private', 'uniqueLocal', 'carrierGradeNat'])

/** 240.0.0.0/4 */
const FUTURE_USE = ipaddr.parseCIDR('240.0.0.0/4')

/** IPv4-compatible, RFC 4291 §2.5.5.1: deprecated, and still an IPv4 address to some stacks. */
const IPV4_COMPATIBLE = ipaddr.parseCIDR('::/96')

type Address = ReturnType<typeof ipaddr.parse>

/** An IPv4 address in whatever IPv6 clothes is that address. */
function undressed(address: Address): Address {
  if (address.kind() === 'ipv4') return address
  const parts = (address as ipaddr.IPv6).parts
  const range = address.range()
  if (range === 'ipv4Mapped' || range === 'rfc6052' || range === 'rfc6145') return fromGroups(parts[6], parts[7])
  if (range === '6to4') return fromGroups(parts[1], parts[2])
  const isPlain = range === 'loopback' || range === 'unspecified'
  if (!isPlain && address.match(IPV4_COMPATIBLE as [ipaddr.IPv6, number])) return fromGroups(parts[6], parts[7])
  return address
}

function fromGroups(high = 0, low = 0): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff])
}

function isHidden(address: Address): boolean {
  if (address.kind() === 'ipv4') return false
  return [AWS_SERVICES, LOCAL_NAT64].some((range) => address.match(range as [ipaddr.IPv6, number]))
}

/** In the plainest form; a text that is no address stays as it is. */
export function plainAddress(text: string): string {
  return parse(text)?.toString() ?? text
}

/** @returns undefined where the text is no IP address; a zone (`%eth0`) is left out */
function parse(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, '')
  if (!ipaddr.isValid(bare)) return undefined
  const address = ipaddr.parse(bare)
  return isHidden(address) ? address : undressed(address)
}

export function isLoopbackAddress(text: string): boolean {
  return parse(text)?.range() === 'loopback'
}

export function isPrivateAddress(text: string): boolean {
  const address = parse(text)
  return address !== undefined && PRIVATE_RANGES.has(address.range())
}

export type AddressPolicy = ReturnType<typeof createAddressPolicy>

/**
 * Which addresses the hub connects to for a participant: the one that it joined from, private ranges, loopback for a joiner
 * on loopback; never link-local, metadata, multicast and unspecified ones; public ones only where that is allowed.
 */
export function createAddressPolicy({ allowPublic }: AddressPolicyOptions) {
  return {
    /** @param text an IP address in any form that Node or a resolver gives */
    allows(text: string, { joinedFrom }: Reach): boolean {
      const address = parse(text)
      if (address === undefined) return false
      const range = address.range()
      if (FORBIDDEN_RANGES.has(range) || METADATA.has(address.toString()) || isHidden(address)) return false
      if (address.kind() === 'ipv4' && address.match(FUTURE_USE as [ipaddr.IPv4, number])) return false
      if (range === 'loopback') return joinedFrom !== undefined && isLoopbackAddress(joinedFrom)
      if (PRIVATE_RANGES.has(range) || allowPublic) return true
      return joinedFrom !== undefined && parse(joinedFrom)?.toString() === address.toString()
    },
  }
}
