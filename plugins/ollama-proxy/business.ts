/** How long a change must last to be told: most requests are shorter, and nobody needs to hear of each. */
const SETTLED_MS = 500

export interface BusinessOptions {
  tell(key: string, isBusy: boolean): void
}

/** Tells who has become busy, or free again, and is so for more than a moment. */
export function createBusiness({ tell }: BusinessOptions) {
  const now = new Map<string, boolean>()
  const told = new Set<string>()
  const timers = new Map<string, NodeJS.Timeout>()

  function settle(key: string): void {
    timers.delete(key)
    const isBusy = now.get(key) ?? false
    now.delete(key)
    if (isBusy === told.has(key)) return
    if (isBusy) told.add(key)
    else told.delete(key)
    tell(key, isBusy)
  }

  return {
    note(key: string, isBusy: boolean): void {
      now.set(key, isBusy)
      if (!timers.has(key)) timers.set(key, setTimeout(settle, SETTLED_MS, key).unref())
    },

    forget(key: string): void {
      clearTimeout(timers.get(key))
      timers.delete(key)
      now.delete(key)
      told.delete(key)
    },

    close(): void {
      for (const timer of timers.values()) clearTimeout(timer)
      timers.clear()
    },
  }
}
