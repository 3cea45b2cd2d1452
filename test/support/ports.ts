import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below what the kernel gives out by itself (Linux from 32768, others from 49152). */
const FIRST = 20_000
const LAST = 31_999

/** Each process of the tests begins somewhere else. */
let next = (process.pid * 20) % (LAST - FIRST)

/** A port for who gives it up and takes it again: nobody who asks the kernel for any port gets it meanwhile. */
export async function ownPort(): Promise<number> {
  for (;;) {
    const port = FIRST + next
    next = (next + 1) % (LAST - FIRST)
    if (await isFree(port)) return port
  }
}

/** On the one address. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
