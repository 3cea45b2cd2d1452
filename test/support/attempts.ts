import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { BlockList, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Everything but this machine. Node asks it in the last moment before it connects, so a fault in the hub sends no packet. */
const ELSEWHERE = new BlockList()
ELSEWHERE.addRange('0.0.0.0', '126.255.255.255')
ELSEWHERE.addRange('128.0.0.0', '255.255.255.255')
ELSEWHERE.addAddress('::', 'ipv6')
ELSEWHERE.addRange('::2', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ipv6')

export interface Attempts {
  /** `address:port` of each connection that this process tried to open since, those to the hub itself left out. */
  readonly list: string[]
}

/** Sees each address that a socket of this process sets out for, before a packet is sent; others than loopback get none. */
export function watchAttempts(t: Test, hubUrl?: string): Attempts {
  const hubPort = hubUrl === undefined ? undefined : Number(new URL(hubUrl).port)
  const list: string[] = []
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket & { blockList?: BlockList } }
    socket.blockList = ELSEWHERE
    const note = (address: string, port: number) => {
      if (port !== hubPort) list.push(`${address}:${port}`)
    }
    socket.on('connectionAttempt', note)
    // Of several addresses, one that is held back is told here alone.
    socket.on('connectionAttemptFailed', (address: string, port: number) => {
      if (list.at(-1) !== `${address}:${port}`) note(address, port)
    })
  }
  subscribe('net.client.socket', onSocket)
  t.teardown(() => unsubscribe('net.client.socket', onSocket))
  return { list }
}
