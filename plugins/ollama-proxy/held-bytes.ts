/** Of all that may be held, so much is for one client: what others send still finds room. */
const SHARE_OF_CLIENT = 0.5

export interface HeldBytesOptions {
  limitBytes: number
}

/** What one request holds. */
export interface Hold {
  /** @returns whether there is room for so many bytes more */
  take(bytes: number): boolean
  /** Gives all of it back; again does nothing. */
  release(): void
}

export type HeldBytes = ReturnType<typeof createHeldBytes>

/**
 * Counts the bytes of request bodies in memory, from their first byte until their request has ended: whoever may have many
 * requests wait could fill it with large ones otherwise.
 */
export function createHeldBytes({ limitBytes }: HeldBytesOptions) {
  const byClient = new Map<string, number>()
  let total = 0

  function add(client: string, bytes: number): void {
    total += bytes
    const left = (byClient.get(client) ?? 0) + bytes
    if (left > 0) byClient.set(client, left)
    else byClient.delete(client)
  }

  return {
    get total(): number {
      return total
    },

    hold(client: string): Hold {
      let held = 0
      return {
        take(bytes) {
          const own = (byClient.get(client) ?? 0) + bytes
          if (total + bytes > limitBytes || own > limitBytes * SHARE_OF_CLIENT) return false
          add(client, bytes)
          held += bytes
          return true
        },
        release() {
          if (held > 0) add(client, -held)
          held = 0
        },
      }
    },
  }
}
