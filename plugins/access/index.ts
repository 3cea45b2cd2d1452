import { BlockList } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Claim, Owner } from '../room-store/store.ts'
import { bareHost, type HubAddresses, type ParsedEndpoint, parseEndpoint } from './endpoints.ts'
import { createPasswords, type Passwords } from './passwords.ts'
import { bearerToken, hashToken, type MintedToken, mintToken } from './tokens.ts'

declare module 'fastify' {
  interface FastifyInstance {
    access: Access
  }
}

export interface AccessOptions {
  /** Whether an address speaks for a client that knows no tokens. @default true */
  addressTrust: boolean
  /** Proxies whose `X-Forwarded-For` is believed; an address of theirs speaks for nobody. */
  trustedProxies: readonly string[]
}

export interface Access {
  passwords: Passwords
  mintToken(): MintedToken
  /** Who the sender of this request claims to be. */
  claimOf(request: FastifyRequest): Claim
  /** The bearer token that came with the request. */
  tokenOf(request: FastifyRequest): string | undefined
  /** Makes the sender of this request the owner of what it creates. */
  newOwner(request: FastifyRequest): { owner: Owner; token: string }
  /** @throws PTL_INVALID_ENDPOINT */
  parseEndpoint(endpoint: string, request: FastifyRequest): ParsedEndpoint
}

export default fp<AccessOptions>(
  async (app, { addressTrust, trustedProxies }) => {
    const proxies = blockListOf(trustedProxies)
    const addressOf = (request: FastifyRequest): string | undefined => {
      const address = unmapped(request.ip)
      return addressTrust && !isListed(proxies, address) ? address : undefined
    }
    const access: Access = {
      passwords: createPasswords(),
      mintToken,
      claimOf(request) {
        const token = bearerToken(request.headers.authorization)
        const address = addressOf(request)
        return {
          ...(token === undefined ? {} : { tokenHash: hashToken(token) }),
          ...(address === undefined ? {} : { address }),
        }
      },
      tokenOf: (request) => bearerToken(request.headers.authorization),
      newOwner(request) {
        const { token, hash } = mintToken()
        const address = addressOf(request)
        return { owner: { tokenHash: hash, tokenUsed: false, ...(address === undefined ? {} : { address }) }, token }
      },
      parseEndpoint: (endpoint, request) => parseEndpoint(endpoint, hubAddresses(request)),
    }
    app.decorate('access', access)
  },
  { name: 'access' },
)

/** IPv4-mapped IPv6 (`::ffff:192.168.1.20`) is the same machine as its IPv4 address. */
function unmapped(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}

function blockListOf(entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/')
    const family = address.includes(':') ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

function isListed(list: BlockList, address: string): boolean {
  return list.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

/** Read at each join: a laptop's addresses change as it moves. The name that the joiner knows the hub by counts too. */
function hubAddresses(request: FastifyRequest): HubAddresses {
  const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const hosts = new Set(own.map(({ address }) => address.replace(/%.*$/, '')))
  hosts.add(hostname().toLowerCase())
  hosts.add(bareHost(request.hostname))
  const ports = [request.socket.localPort, request.port].filter((port) => typeof port === 'number')
  return { ports: new Set(ports), hosts }
}
