import { createHook } from 'node:async_hooks'
import { type IncomingMessage, request } from 'node:http'
import type { Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { call, type RunningHub, startHub } from './hub.ts'
import { bearer, type ManagedRoom, manageRoom } from './managed.ts'

export const PASSWORD = 'open sesame'

export interface Vault extends RunningHub, ManagedRoom {}

/** A room with a password, on a hub of its own. */
export async function startVault(t: Test, options: HubOptions = {}): Promise<Vault> {
  const running = await startHub(t, options)
  return { ...running, ...(await manageRoom(running.url, { name: 'Vault', password: PASSWORD })) }
}

export interface TimedVault extends Vault {
  clock: ManualClock
}

/** A Thursday, 12:00:00 UTC. */
export const NOON = Date.UTC(2026, 0, 1, 12)

/** The same where time goes on only when the test says so, and nobody goes offline meanwhile. */
export async function startTimedVault(t: Test, options: HubOptions = {}): Promise<TimedVault> {
  const clock = manualClock(NOON)
  return { ...(await startVault(t, { clock, healthTickMs: 60_000, ...options })), clock }
}

/** With it a test comes from several addresses (RFC 5737: nothing is ever sent there). */
export const BEHIND_PROXY = { trustedProxies: ['127.0.0.1'] } as const

export function from(address: string): Record<string, string> {
  return { 'x-forwarded-for': address }
}

/** Counts the slow hashes that run in the thread pool, most at once, until the test ends. */
export function watchHashing(t: Test): { total: number; running: number; most: number } {
  const seen = { total: 0, running: 0, most: 0 }
  const hashes = new Set<number>()
  const hook = createHook({
    init(id, type) {
      if (type !== 'ARGON2REQUEST') return
      hashes.add(id)
      seen.total += 1
      seen.running = hashes.size
      seen.most = Math.max(seen.most, seen.running)
    },
    before(id) {
      if (hashes.delete(id)) seen.running = hashes.size
    },
  }).enable()
  t.teardown(() => hook.disable())
  return seen
}

/** What the room says to somebody who shows this. */
export async function knock(base: string, credential: string, headers: Record<string, string> = {}): Promise<number> {
  return (await call('GET', `${base}/participants`, undefined, { ...bearer(credential), ...headers })).status
}

export interface MintedKey {
  id: string
  name: string
  key: string
  createdAt: number
  requestsPerMinute?: number
  tokensPerDay?: number
}

export async function mintKey({ base, asHost }: ManagedRoom, body: Record<string, unknown> = { name: 'Bob' }) {
  const { status, body: minted } = await call<MintedKey>('POST', `${base}/keys`, body, asHost)
  if (status !== 201) throw new Error(`POST …/keys answered ${status}: ${JSON.stringify(minted)}`)
  return minted
}

export interface Asked {
  method: string
  url: string
  headers?: Record<string, string | string[]>
  body?: unknown
}

/** The status alone: of an event stream there is no end to wait for. Paths and methods go out as they are. */
export function statusOf({ method, url, headers = {}, body }: Asked): Promise<number> {
  const { hostname, port, origin } = new URL(url)
  const text = body === undefined ? undefined : JSON.stringify(body)
  const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
  const path = url.slice(origin.length)
  const outgoing = request({ hostname, port, path, method, agent: false, headers: { ...length, ...headers } })
  outgoing.end(text)
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  outgoing.on('error', reject).once('response', ({ statusCode = 0 }: IncomingMessage) => {
    resolve(statusCode)
    outgoing.destroy()
  })
  return promise
}

/** How many seconds a refusal tells to wait; undefined where nothing was refused. */
export function waitSaid(action: () => void): number | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    return (error as { retryAfterS?: number }).retryAfterS
  }
}
