import type { Clock } from '../../schemas/clock.ts'
import { TooManyGuesses } from '../../schemas/errors.ts'
import { networkOf } from './networks.ts'

export interface GuessesOptions {
  clock: Pick<Clock, 'elapsed'>
  /** Wrong guesses a minute, per address and room, that are answered at all. */
  perMinute: number
}

const WINDOW_MS = 60_000

/** Addresses and rooms that are remembered; beyond, the oldest are forgotten first. */
export const MAX_WINDOWS = 10_000

interface Window {
  count: number
  endsAt: number
}

export type Guesses = ReturnType<typeof createGuesses>

/** Holds back who tries passwords: per address and room, so that nobody can lock somebody else out of another one. */
export function createGuesses({ clock, perMinute }: GuessesOptions) {
  const windows = new Map<string, Window>()

  function windowOf(key: string): Window {
    const now = clock.elapsed()
    const present = windows.get(key)
    if (present !== undefined && present.endsAt > now) return present
    const fresh = { count: 0, endsAt: now + WINDOW_MS }
    windows.delete(key)
    windows.set(key, fresh)
    // In the order of their beginnings, so the first ones end first.
    for (const [oldest, { endsAt }] of windows) {
      if (windows.size <= MAX_WINDOWS && endsAt > now) break
      windows.delete(oldest)
    }
    return fresh
  }

  return {
    /**
     * Counts a guess before it is looked at, so that many at once count too.
     * @returns takes the guess back: it was right
     * @throws PTL_TOO_MANY_GUESSES
     */
    begin(address: string, roomId: string): () => void {
      const window = windowOf(`${networkOf(address)} ${roomId}`)
      if (window.count >= perMinute) throw new TooManyGuesses(Math.ceil((window.endsAt - clock.elapsed()) / 1000))
      window.count += 1
      return () => {
        window.count -= 1
      }
    },
  }
}
