import { createHmac, randomBytes } from 'node:crypto'

/** Passwords that are remembered as right; the least recently used are forgotten first. */
export const MAX_VERIFIED = 10_000

export type Verified = ReturnType<typeof createVerified>

/**
 * Remembers passwords that were found right, so that one in an API key costs no slow hash per request. What is kept is a
 * digest under a key that dies with the process; it holds the room's current hash, so a change makes it worthless.
 */
export function createVerified() {
  const key = randomBytes(32)
  const digests = new Set<string>()

  function digestOf(passwordHash: string, password: string): string {
    return createHmac('sha256', key).update(`${passwordHash}\0${password}`).digest('base64')
  }

  return {
    has(passwordHash: string, password: string): boolean {
      const digest = digestOf(passwordHash, password)
      if (!digests.delete(digest)) return false
      digests.add(digest)
      return true
    },

    add(passwordHash: string, password: string): void {
      digests.add(digestOf(passwordHash, password))
      for (const oldest of digests) {
        if (digests.size <= MAX_VERIFIED) break
        digests.delete(oldest)
      }
    },
  }
}
