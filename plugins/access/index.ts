import { BlockList } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Clock } from '../../schemas/clock.ts'
import { NotYourParticipant, RoomNotFound, TokenRequired } from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import type { Claim, Owner, ParticipantRecord, Target } from '../room-store/store.ts'
import { type AddressPolicy, createAddressPolicy } from './addresses.ts'
import { type Budgets, createBudgets } from './budgets.ts'
import { type ConnectionsOptions, connectionLimits, createConnections } from './connections.ts'
import { credentialsOf } from './credentials.ts'
import { bareHost, type HubAddresses, parseEndpoint, unmappedAddress } from './endpoints.ts'
import { createGate, type Gate, type Identity, type Shown } from './gate.ts'
import { createGuesses } from './guesses.ts'
import { networkOf } from './networks.ts'
import { openFilesLimit } from './open-files.ts'
import type { Operation } from './operations.ts'
import { createPasswords } from './passwords.ts'
import { createRootRooms } from './root-rooms.ts'
import { createTickets, type Tickets } from './tickets.ts'
import { hashToken, type MintedToken, mintToken } from './tokens.ts'
import { createVerified } from './verified.ts'

declare module 'fastify' {
  interface FastifyInstance {
    access: Access
  }
  interface FastifyRequest {
    /** Who sent it, once `access.enter` has found out. */
    identity: Identity
  }
  interface FastifyContextConfig {
    /** What the route does, for the table that decides who may. */
    operation?: Operation
  }
}

export interface AccessOptions {
  clock: Clock
  /** Whether an address speaks for a client that knows no tokens. @default true */
  addressTrust: boolean
  /** Proxies whose `X-Forwarded-For` is believed; an address of theirs speaks for nobody. */
  trustedProxies: readonly string[]
  /** Empty: none. */
  adminToken: string
  /** @default 10 */
  guessesPerMinute: number
  /** Connections at once of one network. @default 4096 */
  networkConnections: number
  /** @default false */
  publicEndpoints: boolean
  /** Code of the room that serves clients at the root; empty: none. */
  defaultRoom: string
  /** The hub speaks TLS. */
  isSecure: boolean
}

export interface Access extends Pick<Gate, 'enterHub'> {
  budgets: Budgets
  tickets: Tickets
  policy: AddressPolicy
  /** Sets `request.identity`; at once where the request shows nothing. @throws as `Gate.enter` */
  enter(request: FastifyRequest, operation: Operation): void | Promise<void>
  /** Where the path names no room: sets `request.room` too. @throws PTL_ROOM_NOT_NAMED, and as `Gate.enter` */
  enterAtRoot(request: FastifyRequest, operation: Operation): Promise<void>
  /** @returns null for no password: absent, `null` or empty */
  hashPassword(password: string | null | undefined): Promise<string | null>
  /** Of a join: in its body, where its headers show nothing. @throws PTL_INVALID_PASSWORD, PTL_TOO_MANY_GUESSES */
  enterToJoin(request: FastifyRequest, password: string | null | undefined): Promise<void>
  mintToken(): MintedToken
  hashToken(token: string): string
  shownBy(request: FastifyRequest): Shown
  /** Who the sender of this request claims to be. */
  claimOf(request: FastifyRequest): Claim
  /** Whom requests of inference count for, and whose participants the sender's are. */
  askerOf(request: FastifyRequest): { client: string; owner: { participantId?: string; address?: string } }
  /** The network that a request comes from: keys and tokens can be had by anybody who opens a room, addresses less so. */
  networkOf(request: FastifyRequest): string
  /** The credential that came with the request. */
  tokenOf(request: FastifyRequest): string | undefined
  /**
   * May the sender change this participant? Itself everything; the host what `hostMay` says.
   * @throws PTL_TOKEN_REQUIRED, PTL_NOT_YOUR_PARTICIPANT
   */
  requireSelf(request: FastifyRequest, record: ParticipantRecord, hostMay: boolean): void
  /** Makes the sender of this request the owner of what it creates. */
  newOwner(request: FastifyRequest): { owner: Owner; token: string }
  /** @throws PTL_INVALID_ENDPOINT */
  parseEndpoint(endpoint: string, request: FastifyRequest): Target
}

export default fp<AccessOptions>(
  async (app, options) => {
    const { clock, addressTrust, trustedProxies, adminToken, publicEndpoints, defaultRoom, isSecure } = options
    const proxies = blockListOf(trustedProxies)
    const hasProxies = trustedProxies.length > 0
    const isProxy = (address: string) => hasProxies && isListed(proxies, address)
    boundConnections(app, { clock, wanted: options.networkConnections, isShared: isProxy })
    const passwords = createPasswords()
    const tickets = createTickets({ clock })
    const gate = createGate({
      rooms: app.roomStore,
      passwords,
      guesses: createGuesses({ clock, perMinute: options.guessesPerMinute }),
      verified: createVerified(),
      tickets,
      ...(adminToken === '' ? {} : { adminTokenHash: hashToken(adminToken) }),
    })
    const rootRooms = createRootRooms({ rooms: app.roomStore, defaultRoom })
    /** Absent where it is that of a proxy, which is everybody's. */
    const clientAddress = (request: FastifyRequest): string | undefined => {
      const address = addressOf(request)
      return address !== '' && !isProxy(address) ? address : undefined
    }
    /** Absent where it proves nothing: a web page sends from the address of whoever looks at it. */
    const provenAddress = (request: FastifyRequest) =>
      addressTrust && request.headers.origin === undefined ? clientAddress(request) : undefined
    let isWarned = false
    const warnOnce = () => {
      if (isSecure || isWarned) return
      isWarned = true
      app.log.warn(
        'a room has a password, but the hub speaks plain HTTP: whoever listens on the LAN can read it (--tls)',
      )
    }
    const access: Access = {
      budgets: createBudgets({ clock }),
      tickets,
      policy: createAddressPolicy({ allowPublic: publicEndpoints }),
      enterHub: gate.enterHub,
      mintToken,
      hashToken,
      shownBy,
      tokenOf: (request) => credentialsOf(request.headers).credential,
      enter(request, operation) {
        const identity = gate.enter(operation, request.room, shownBy(request))
        if (!(identity instanceof Promise)) {
          request.identity = identity
          return
        }
        return identity.then((found) => {
          request.identity = found
        })
      },
      async enterAtRoot(request, operation) {
        const { credential: shown, ...rest } = shownBy(request)
        const { room, credential } = await rootRooms.choose(shown, clock.now())
        request.room = room
        const left = credential === undefined ? rest : { ...rest, credential }
        request.identity = await gate.enter(operation, room, left)
      },
      async enterToJoin(request, password) {
        // The body took its time: meanwhile the room may have got a password, or be gone.
        const room = await app.roomStore.findRoom(request.room.room.code)
        if (room?.room.id !== request.room.room.id) throw new RoomNotFound()
        request.room = room
        if (room.passwordHash === undefined) return
        // In the body it is the base contract's, in a header everybody's; two that differ are one too many.
        const { credential } = credentialsOf(request.headers)
        if (!isGiven(password) || password === credential) return access.enter(request, 'join')
        await gate.checkPassword(room, password, addressOf(request))
      },
      async hashPassword(password) {
        if (!isGiven(password)) return null
        warnOnce()
        return passwords.hash(password)
      },
      claimOf(request) {
        const { credential } = credentialsOf(request.headers)
        const address = provenAddress(request)
        return {
          ...(credential === undefined ? {} : { tokenHash: hashToken(credential) }),
          ...(address === undefined ? {} : { address }),
        }
      },
      networkOf: (request) => networkOf(addressOf(request)),
      askerOf(request) {
        const { key, participantId } = request.identity
        if (participantId !== undefined)
          return { client: `participant ${request.room.room.id}/${participantId}`, owner: { participantId } }
        const client = key === undefined ? `address ${networkOf(addressOf(request))}` : `key ${key.id}`
        const address = provenAddress(request)
        // Everybody on this machine has the same: it tells nobody from anybody.
        return { client, owner: address === undefined || isLoopback(address) ? {} : { address } }
      },
      requireSelf(request, record, hostMay) {
        const { credential } = credentialsOf(request.headers)
        if (credential !== undefined && sameHash(record.owner.tokenHash, hashToken(credential))) return
        const { role, key } = request.identity
        const isProven = role !== 'guest' || key !== undefined || request.room.passwordHash !== undefined
        if (role === 'host' && hostMay) return
        if (isProven) throw new NotYourParticipant()
        throw new TokenRequired()
      },
      newOwner(request) {
        const { token, hash } = mintToken()
        const address = provenAddress(request)
        return { owner: { tokenHash: hash, tokenUsed: false, ...(address === undefined ? {} : { address }) }, token }
      },
      parseEndpoint(endpoint, request) {
        // A web page may run on the hub's own machine, and is somebody else's all the same.
        const joinedFrom = request.headers.origin === undefined ? clientAddress(request) : undefined
        const reach = joinedFrom === undefined ? {} : { joinedFrom }
        const parsed = parseEndpoint(endpoint, hubAddresses(request), (address) => access.policy.allows(address, reach))
        return { ...parsed, ...reach }
      },
    }
    app.decorateRequest('identity')
    app.decorate('access', access)
  },
  { name: 'access', dependencies: ['room-store'] },
)

interface Bounds extends Pick<ConnectionsOptions, 'clock' | 'isShared'> {
  /** Of one network. */
  wanted: number
}

function boundConnections(app: FastifyInstance, { clock, wanted, isShared }: Bounds): void {
  const files = openFilesLimit()
  const { total, perNetwork } = connectionLimits(wanted, files)
  if (perNetwork < wanted)
    app.log.warn(`this process may have ${files} files open (ulimit -n): a network gets ${perNetwork} connections`)
  const onRefused: ConnectionsOptions['onRefused'] = (about) =>
    app.log.warn(
      about,
      `connections refused: a network may have ${perNetwork} (POTLUCK_NETWORK_CONNECTIONS), all together ${total}`,
    )
  const connections = createConnections({ clock, perNetwork, isShared, onRefused })
  app.server.on('connection', connections.admit)
  // The rest is for what the hub itself opens: its calls of participants.
  if (Number.isFinite(total)) app.server.maxConnections = total
  app.server.on('drop', (dropped) => connections.noteDropped(dropped ?? {}))
  app.addHook('onClose', async () => connections.close())
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

function isGiven(password: string | null | undefined): password is string {
  return password !== undefined && password !== null && password !== ''
}

/** A socket that has closed meanwhile has none any more. */
function addressOf(request: FastifyRequest): string {
  return unmappedAddress(request.ip ?? '')
}

function shownBy(request: FastifyRequest): Shown {
  const { ticket } = request.query as { ticket?: unknown }
  const { credential, isConflicting } = credentialsOf(request.headers)
  return {
    isConflicting,
    address: addressOf(request),
    ...(credential === undefined ? {} : { credential }),
    ...(typeof ticket === 'string' ? { ticket } : {}),
  }
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
