/**
 * Loaded before a hub that takes whatever somebody makes up (`node --import ./test/support/loopback-only.ts …`): a made-up
 * endpoint must not send a packet to anybody. Only this machine can be reached, and no name is looked up.
 */
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { BlockList, isIP, Socket } from 'node:net'

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

export function isHere(host: string): boolean {
  const family = isIP(host)
  return family === 0 ? host === 'localhost' : LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6')
}

function refusal(host: string, code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${host} is not this machine`), { code })
}

type Callback = (error: Error | null, ...rest: unknown[]) => void

const { lookup } = dns
dns.lookup = ((host: string, ...rest: unknown[]) => {
  const callback = rest.at(-1) as Callback
  if (isHere(host)) Reflect.apply(lookup, dns, [host, ...rest])
  else process.nextTick(callback, refusal(host, 'ENOTFOUND'))
}) as typeof dns.lookup

/** Node's own `connect` hands its arguments on as one list. */
function hostOf([first, second]: unknown[]): string {
  const options = Array.isArray(first) ? first[0] : first
  if (typeof options === 'object' && options !== null) return (options as { host?: string }).host ?? 'localhost'
  return typeof second === 'string' ? second : 'localhost'
}

const { connect } = Socket.prototype
Socket.prototype.connect = function (this: Socket, ...given: unknown[]): Socket {
  const host = hostOf(given)
  // A name goes through the lookup above.
  if (isIP(host) === 0 || isHere(host)) return Reflect.apply(connect, this, given)
  process.nextTick(() => this.destroy(refusal(host, 'ENETUNREACH')))
  return this
} as typeof connect

syncBuiltinESMExports()
