/** At most one event a key in this time; what happens meanwhile is told by the last one. */
export const COALESCE_MS = 1000

export interface Coalescer {
  /** Tells now, or at the end of the pause that the last telling began. */
  touch(key: string): void
  /** The key is gone: what was still to be told is not. */
  drop(key: string): void
  close(): void
}

/**
 * A change that comes alone is told at once; of a burst the first and the last are.
 * @param tell is called with the key, and reads the state as it is then
 */
export function createCoalescer(tell: (key: string) => void, pauseMs: number = COALESCE_MS): Coalescer {
  const pauses = new Map<string, { timer: NodeJS.Timeout; isPending: boolean }>()

  function begin(key: string): void {
    tell(key)
    const timer = setTimeout(() => finish(key), pauseMs).unref()
    pauses.set(key, { timer, isPending: false })
  }

  function finish(key: string): void {
    const wasPending = pauses.get(key)?.isPending ?? false
    pauses.delete(key)
    if (wasPending) begin(key)
  }

  function drop(key: string): void {
    clearTimeout(pauses.get(key)?.timer)
    pauses.delete(key)
  }

  return {
    touch(key) {
      const pause = pauses.get(key)
      if (pause === undefined) begin(key)
      else pause.isPending = true
    },
    drop,
    close() {
      for (const key of [...pauses.keys()]) drop(key)
    },
  }
}
