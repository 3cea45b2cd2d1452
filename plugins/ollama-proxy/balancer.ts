import type { Candidate } from './routing.ts'

export interface Choice {
  readonly candidate: Candidate
  /** `only`: nobody else could; `least-loaded`: it has the fewest requests in flight. */
  readonly reason: 'only' | 'least-loaded'
  /** Gives the place back; calling it again does nothing. */
  release(): void
}

interface Load {
  inFlight: number
  /** Turn of its last request: among equals the one that has waited longest comes next. */
  lastTurn: number
}

/** Idle participants whose last turn is remembered; ids are made up by whoever joins, so their number needs a bound. */
export const MAX_REMEMBERED = 10_000

export type Balancer = ReturnType<typeof createBalancer>

/** Counts what is in flight per participant and chooses who has least. Choosing and claiming are one step. */
export function createBalancer() {
  const loads = new Map<string, Load>()
  let turn = 0

  const loadOf = ({ record }: Candidate): Load => loads.get(record.key) ?? { inFlight: 0, lastTurn: 0 }

  function claim(candidate: Candidate, reason: Choice['reason']): Choice {
    const { key } = candidate.record
    const load = loadOf(candidate)
    turn += 1
    if (loads.size >= MAX_REMEMBERED) forgetIdle()
    loads.set(key, { inFlight: load.inFlight + 1, lastTurn: turn })
    let released = false
    return {
      candidate,
      reason,
      release() {
        if (released) return
        released = true
        const now = loads.get(key)
        if (now !== undefined) loads.set(key, { ...now, inFlight: now.inFlight - 1 })
      },
    }
  }

  function forgetIdle(): void {
    for (const [key, { inFlight }] of loads) if (inFlight === 0) loads.delete(key)
  }

  return {
    /** @param candidates at least one */
    choose(candidates: readonly [Candidate, ...Candidate[]]): Choice {
      let best: Candidate = candidates[0]
      for (const candidate of candidates) if (isBetter(loadOf(candidate), loadOf(best))) best = candidate
      return claim(best, candidates.length === 1 ? 'only' : 'least-loaded')
    },

    /** How many requests the participant has in flight. */
    inFlight(key: string): number {
      return loads.get(key)?.inFlight ?? 0
    },
  }
}

function isBetter(load: Load, than: Load): boolean {
  return load.inFlight < than.inFlight || (load.inFlight === than.inFlight && load.lastTurn < than.lastTurn)
}
