import { BlockList } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import {
  HostOnly,
  HostTokenRequired,
  InvalidPassword,
  NotYourParticipant,
  TokenRequired,
} from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import type { Claim, Owner, ParticipantRecord, RoomRecord } from '../room-store/store.ts'
import { bareHost, type HubAddresses, type ParsedEndpoint, parseEndpoint, unmappedAddress } from './endpoints.ts'
import { createPasswords } from './passwords.ts'
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
  /** @returns null for no password: absent, `null` or empty */
  hashPassword(password: string | null | undefined): Promise<string | null>
  /** @throws PTL_INVALID_PASSWORD */
  checkPassword(room: RoomRecord, password: string | null | undefined): Promise<void>
  mintToken(): MintedToken
  /** Who the sender of this request claims to be. */
  claimOf(request: FastifyRequest): Claim
  /** The bearer token that came with the request. */
  tokenOf(request: FastifyRequest): string | undefined
  /** @throws PTL_HOST_TOKEN_REQUIRED, or PTL_HOST_ONLY for a participant of the room */
  requireHost(request: FastifyRequest): Promise<void>
  /**
   * May the sender change this participant? Itself everything; the host what `hostMay` says.
   * @throws PTL_TOKEN_REQUIRED, PTL_NOT_YOUR_PARTICIPANT
   */
  requireSelf(request: FastifyRequest, record: ParticipantRecord, hostMay: boolean): Promise<void>
  /** Makes the sender of this request the owner of what it creates. */
  newOwner(request: FastifyRequest): { owner: Owner; token: string }
  /** @throws PTL_INVALID_ENDPOINT */
  parseEndpoint(endpoint: string, request: FastifyRequest): ParsedEndpoint
}

export default fp<AccessOptions>(
  async (app, { addressTrust, trustedProxies }) => {
    const proxies = blockListOf(trustedProxies)
    const addressOf = (request: FastifyRequest): string | undefined => {
      // A socket that has closed meanwhile has no address any more.
      const address = unmappedAddress(request.ip ?? '')
      return address !== '' && addressTrust && !isListed(proxies, address) ? address : undefined
    }
    const holdsTokenIn = async ({ room }: FastifyRequest, tokenHash: string): Promise<boolean> => {
      const records = await app.roomStore.listParticipants(room.room.id)
      return records.some(({ owner }) => sameHash(owner.tokenHash, tokenHash))
    }
    const passwords = createPasswords()
    const access: Access = {
      hashPassword: async (password) => (isGiven(password) ? passwords.hash(password) : null),
      async checkPassword({ passwordHash }, password) {
        if (passwordHash === undefined) return
        if (!isGiven(password) || !(await passwords.verify(password, passwordHash))) throw new InvalidPassword()
      },
      mintToken,
      claimOf(request) {
        const tokenHash = tokenHashOf(request)
        const address = addressOf(request)
        return {
          ...(tokenHash === undefined ? {} : { tokenHash }),
          ...(address === undefined ? {} : { address }),
        }
      },
      tokenOf: (request) => bearerToken(request.headers.authorization),
      async requireHost(request) {
        const tokenHash = tokenHashOf(request)
        if (tokenHash !== undefined && sameHash(request.room.hostTokenHash, tokenHash)) return
        if (tokenHash !== undefined && (await holdsTokenIn(request, tokenHash))) throw new HostOnly()
        throw new HostTokenRequired()
      },
      async requireSelf(request, record, hostMay) {
        const tokenHash = tokenHashOf(request)
        if (tokenHash === undefined) throw new TokenRequired()
        if (sameHash(record.owner.tokenHash, tokenHash)) return
        const isHost = sameHash(request.room.hostTokenHash, tokenHash)
        if (isHost && hostMay) return
        if (isHost || (await holdsTokenIn(request, tokenHash))) throw new NotYourParticipant()
        throw new TokenRequired()
      },
      newOwner(request) {
        const { token, hash } = mintToken()
        const address = addressOf(request)
        return { owner: { tokenHash: hash, tokenUsed: false, ...(address === undefined ? {} : { address }) }, token }
      },
      parseEndpoint: (endpoint, request) => parseEndpoint(endpoint, hubAddresses(request)),
    }
    app.decorate('access', access)
  },
  { name: 'access', dependencies: ['room-store'] },
)

function isGiven(password: string | null | undefined): password is string {
  return password !== undefined && password !== null && password !== ''
}

function tokenHashOf({ headers }: FastifyRequest): string | undefined {
  const token = bearerToken(headers.authorization)
  return token === undefined ? undefined : hashToken(token)
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
  const knownPort = request.port ?? (request.protocol === 'https' ? 443 : 80)
  const ports = [request.socket.localPort, knownPort].filter((port) => typeof port === 'number')
  return { ports: new Set(ports), hosts }
}
