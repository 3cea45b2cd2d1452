/** Of all that may be held, so much is for one sender: what others send still finds room. */
const SHARE_OF_SENDER = 0.5

/** And so much for all that is large: a question still finds room where long contexts have filled the rest. */
const SHARE_OF_LARGE = 0.875

/** A request that holds more than this is large. */
export const LARGE_BYTES = 64 * 1024

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
  const bySender = new Map<string, number>()
  let total = 0

  function add(sender: string, bytes: number): void {
    total += bytes
    const left = (bySender.get(sender) ?? 0) + bytes
    if (left > 0) bySender.set(sender, left)
    else bySender.delete(sender)
  }

  return {
    get total(): number {
      return total
    },

    /** @param sender of which nobody has more than one for free: a network, no name that somebody may give themselves */
    hold(sender: string): Hold {
      let held = 0
      return {
        take(bytes) {
          const own = (bySender.get(sender) ?? 0) + bytes
          const limit = held + bytes > LARGE_BYTES ? limitBytes * SHARE_OF_LARGE : limitBytes
          if (total + bytes > limit || own > limitBytes * SHARE_OF_SENDER) return false
          add(sender, bytes)
          held += bytes
          return true
        },
        release() {
          if (held > 0) add(sender, -held)
          held = 0
        },
      }
    },
  }
}
