import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import type { Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import { connectTunnel, type ServedRequest, type Tunnel, type TunnelOptions } from '../../src/agent/tunnel/index.ts'
import { call, type Joined } from './hub.ts'

export interface Tunnelled extends Joined {
  tunnel: Tunnel
  /** What has ended. */
  served: ServedRequest[]
}

/** A join with `tunnel: true`, whatever comes of it. */
export async function joinTunnelled(
  url: string,
  code: string,
  body: Partial<JoinBody> = {},
  token?: string,
): Promise<Joined> {
  const entry = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', tunnel: true, ...body }
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const { status, body: joined } = await call<Joined>('POST', `${url}/rooms/${code}/join`, entry, headers)
  if (status !== 201) throw new Error(`join answered ${status}: ${JSON.stringify(joined)}`)
  return joined
}

/** Opens the tunnel of a participant, to an LLM server of the test's; closed when the test ends. */
export async function openTunnel(
  t: Test,
  url: string,
  code: string,
  { token, endpoint, ...more }: { token: string; endpoint: string } & Partial<Omit<TunnelOptions, 'endpoint'>>,
): Promise<{ tunnel: Tunnel; served: ServedRequest[] }> {
  const served: ServedRequest[] = []
  const observer = { onEnd: (request: ServedRequest) => void served.push(request) }
  const options = { hub: new URL(url), code, token, endpoint: new URL(endpoint), observer, ...more }
  const tunnel = await connectTunnel(options)
  t.teardown(() => tunnel.close())
  return { tunnel, served }
}

/** Joins and opens the tunnel. */
export async function joinByTunnel(
  t: Test,
  url: string,
  code: string,
  endpoint: string,
  body: Partial<JoinBody> = {},
  options: Partial<Omit<TunnelOptions, 'endpoint' | 'token'>> = {},
): Promise<Tunnelled> {
  const joined = await joinTunnelled(url, code, body)
  const opened = await openTunnel(t, url, code, { token: joined.token, endpoint, ...options })
  await untilStatus(url, code, joined.participant.id, (status) => status !== 'offline')
  return { ...joined, ...opened }
}

export interface Cable {
  /** The hub, as it is reached through the cable. */
  hub: URL
  /** Breaks all connections without a farewell, as a machine that goes. */
  cut(): void
  /** Lets nothing through any more, and says nothing of it, as a network that is gone. */
  freeze(): void
}

/** What a bad radio makes of TCP: all comes late, and some of it later, with all that is behind it, since it was sent again. */
export interface Radio {
  /** Each way, ms. */
  delayMs: number
  /** Of the pieces, 0 to 1. */
  loss: number
  /** Until what was lost is there. */
  resendMs: number
}

function lateBy({ delayMs, loss, resendMs }: Radio): Transform {
  let readyAt = 0
  const onTheWay: Buffer[] = []
  return new Transform({
    transform(chunk, _encoding, done) {
      const lostMs = Math.random() < loss ? resendMs : 0
      readyAt = Math.max(readyAt, performance.now() + delayMs + lostMs)
      onTheWay.push(chunk)
      // Timers of the same moment fire in any order.
      setTimeout(() => this.push(onTheWay.shift()), readyAt - performance.now())
      // What comes next is under way meanwhile.
      done()
    },
    flush(done) {
      setTimeout(done, Math.max(0, readyAt - performance.now()))
    },
  })
}

/** A connection to the hub that can be pulled out. */
export async function startCable(t: Test, url: string, radio?: Radio): Promise<Cable> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(new URL(url).port), '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => sockets.delete(socket))
    }
    if (radio === undefined) near.pipe(far).pipe(near)
    else near.pipe(lateBy(radio)).pipe(far).pipe(lateBy(radio)).pipe(near)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  t.teardown(() => {
    server.close()
    cut()
  })
  const freeze = () => {
    for (const socket of sockets) socket.unpipe().pause()
  }
  return { hub: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), cut, freeze }
}

/** Looks until a participant's status is one of the test's. */
export async function untilStatus(
  url: string,
  code: string,
  id: string,
  isRight: (status: string) => boolean,
  attempts = 200,
): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { body } = await call<{ participants: { id: string; status: string }[] }>(
      'GET',
      `${url}/rooms/${code}/participants`,
    )
    const status = body.participants.find((participant) => participant.id === id)?.status
    if (status !== undefined && isRight(status)) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${id} never got there`)
}
