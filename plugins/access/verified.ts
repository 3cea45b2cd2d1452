import { hash, randomBytes } from 'node:crypto'

/** Passwords that are remembered as right; the least recently used are forgotten first. */
export const MAX_VERIFIED = 10_000

export type Verified = ReturnType<typeof createVerified>

/**
 * Remembers passwords that were found right, so that one in an API key costs no slow hash per request. What is kept is a
 * digest under a key that dies with the process; it holds the room's current hash, so a change makes it worthless.
 */
export function createVerified() {
  const secret = randomBytes(32).toString('hex')
  const digests = new Set<string>()

  // One plain hash: nothing is added to it behind the password, so it needs no HMAC, which costs twenty times as much.
  function digestOf(passwordHash: string, password: string, from: string): string {
    return hash('sha256', `${secret}\0${passwordHash}\0${from}\0${password}`, 'base64')
  }

  return {
    /** @param from the network that it was sent from */
    has(passwordHash: string, password: string, from: string): boolean {
      const digest = digestOf(passwordHash, password, from)
      if (!digests.delete(digest)) return false
      digests.add(digest)
      return true
    },

    add(passwordHash: string, password: string, from: string): void {
      digests.add(digestOf(passwordHash, password, from))
      for (const oldest of digests) {
        if (digests.size <= MAX_VERIFIED) break
        digests.delete(oldest)
      }
    },
  }
}
