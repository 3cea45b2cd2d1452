/** What somebody was given counts half after this time, ms: who has used much waits longer, and not for long. */
export const HALF_LIFE_MS = 120_000

/** Clients that are remembered; who was served longest ago is forgotten first. */
export const MAX_CLIENTS = 20_000

/** Beyond this many half-lives numbers would lose their meaning, so they are counted from a new beginning. */
const MAX_AGE = 500

/** Of a client that has not been served yet. */
const FIRST_MS = 5000

/** A client's share of what was given, which decays. Scores can be compared with one another, and with nothing else. */
export interface Share {
  readonly client: string
  score: number
  /** What its requests took lately, ms: a request is charged with so much until it is known what it took. */
  usualMs: number
}

export type Shares = ReturnType<typeof createShares>

/**
 * Decaying shares without touching them as time goes by: all fall at the same pace, so instead of the old ones falling the
 * new ones count more.
 */
export function createShares({ now }: { now(): number }) {
  const shares = new Map<string, Share>()
  let latest = now()
  let beginning = latest
  let newest: Share | undefined

  function weight(): number {
    const time = now()
    // A clock that was set back: no time has gone by, and what was given before counts no more than it did.
    if (time < latest) beginning -= latest - time
    latest = time
    const age = (time - beginning) / HALF_LIFE_MS
    if (age <= MAX_AGE) return 2 ** age
    for (const share of shares.values()) share.score *= 2 ** -age
    beginning = time
    return 1
  }

  /** At the end: those in front are forgotten first. */
  function remember(share: Share): void {
    if (share === newest) return
    newest = share
    shares.delete(share.client)
    shares.set(share.client, share)
    if (shares.size <= MAX_CLIENTS) return
    const [oldest] = shares.keys()
    shares.delete(oldest as string)
  }

  return {
    of(client: string): Share {
      const known = shares.get(client)
      if (known !== undefined) return known
      const share = { client, score: 0, usualMs: FIRST_MS }
      remember(share)
      return share
    },

    /** @param cost in ms of a slot; negative: less was used than was charged at first */
    charge(share: Share, cost: number): void {
      // First, since it may be a new beginning for all scores.
      const counted = cost * weight()
      share.score = Math.max(0, share.score + counted)
      // Who was forgotten meanwhile may be known anew by now, with another share.
      if (cost > 0 && shares.get(share.client) === share) remember(share)
    },
  }
}
