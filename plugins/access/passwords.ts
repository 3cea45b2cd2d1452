import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

import { HubBusy } from '../../schemas/errors.ts'

const deriveKey = promisify(argon2)

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane; some 30 ms of a thread of the pool, not of the event loop. */
const COST = { memory: 19_456, passes: 2, parallelism: 1 } as const
const TAG_BYTES = 32
const SALT_BYTES = 16

/** Two at once leave half of the thread pool to everybody else, and bound the memory. */
const MAX_AT_ONCE = 2

export type Passwords = ReturnType<typeof createPasswords>

/** Checks that wait for their turn; beyond, everybody would wait for longer than a client does. */
export const MAX_WAITING = 128

/** argon2id (RFC 9106), off the event loop. */
export function createPasswords() {
  const waiting: (() => void)[] = []
  let running = 0

  async function derive(password: string, salt: Buffer): Promise<Buffer> {
    if (waiting.length >= MAX_WAITING) throw new HubBusy()
    if (running >= MAX_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await deriveKey('argon2id', { ...COST, message: password, nonce: salt, tagLength: TAG_BYTES })
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  return {
    /** @returns salt and key in hex, `<salt>:<key>`. */
    async hash(password: string): Promise<string> {
      const salt = randomBytes(SALT_BYTES)
      const key = await derive(password, salt)
      return `${salt.toString('hex')}:${key.toString('hex')}`
    },

    async verify(password: string, hash: string): Promise<boolean> {
      const [salt = '', key = ''] = hash.split(':')
      const derived = await derive(password, Buffer.from(salt, 'hex'))
      return timingSafeEqual(derived, Buffer.from(key, 'hex'))
    },
  }
}
