/** What somebody was given counts half after this time, ms: who has used much waits longer, and not for long. */
export const HALF_LIFE_MS = 120_000

/** Clients that are remembered; who was served longest ago is forgotten first. */
export const MAX_CLIENTS = 20_000

/** Beyond this many half-lives numbers would lose their meaning, so they are counted from a new beginning. */
const MAX_AGE = 500

/** A client's share of what was given, which decays. Scores can be compared with one another, and with nothing else. */
export interface Share {
  readonly client: string
  score: number
}

export type Shares = ReturnType<typeof createShares>

/**
 * Decaying shares without touching them as time goes by: all fall at the same pace, so instead of the old ones falling the
 * new ones count more.
 */
export function createShares({ now }: { now(): number }) {
  const shares = new Map<string, Share>()
  let beginning = now()

  function weight(): number {
    const age = (now() - beginning) / HALF_LIFE_MS
    if (age > MAX_AGE || age < 0) {
      for (const share of shares.values()) share.score *= 2 ** -Math.max(0, age)
      beginning = now()
      return 1
    }
    return 2 ** age
  }

  return {
    of(client: string): Share {
      const known = shares.get(client)
      if (known !== undefined) return known
      const share = { client, score: 0 }
      shares.set(client, share)
      const [oldest] = shares.keys()
      if (shares.size > MAX_CLIENTS && oldest !== undefined) shares.delete(oldest)
      return share
    },

    /** @param cost in ms of a slot; negative: less was used than was charged at first */
    charge(share: Share, cost: number): void {
      share.score = Math.max(0, share.score + cost * weight())
      // Who is served goes to the end: those in front are forgotten first.
      if (shares.delete(share.client)) shares.set(share.client, share)
    },
  }
}
