/** The newest are remembered, of all rooms together: an id takes some 200 bytes. */
export const MAX_MADE = 20_000

/** Of one room, so that one does not make the hub forget the others'. */
export const MAX_MADE_PER_ROOM = 2000

export type Maker =
  | { kind: 'known'; key: string }
  /** Two participants made something of that name: whose is asked for can't be told, and the wrong one must not be shown. */
  | { kind: 'ambiguous' }

export type Makers = ReturnType<typeof createMakers>

/** Remembers who made what (a response of OpenAI's newer API), so that what is about it goes back there. */
export function createMakers() {
  const rooms = new Map<string, Map<string, Maker>>()
  let total = 0

  function forgetOldest(roomId: string, made: Map<string, Maker>): void {
    const [oldest] = made.keys()
    if (oldest === undefined) return
    made.delete(oldest)
    total -= 1
    if (made.size === 0) rooms.delete(roomId)
  }

  return {
    note(roomId: string, id: string, key: string): void {
      const made = rooms.get(roomId) ?? new Map<string, Maker>()
      const before = made.get(id)
      if (before !== undefined) {
        if (before.kind === 'known' && before.key !== key) made.set(id, { kind: 'ambiguous' })
        return
      }
      // The room that made something last goes to the end: those in front are asked for least.
      rooms.delete(roomId)
      rooms.set(roomId, made.set(id, { kind: 'known', key }))
      total += 1
      if (made.size > MAX_MADE_PER_ROOM) forgetOldest(roomId, made)
      if (total > MAX_MADE) {
        const [first] = rooms
        if (first !== undefined) forgetOldest(...first)
      }
    },

    find(roomId: string, id: string): Maker | undefined {
      return rooms.get(roomId)?.get(id)
    },

    /** It left, or is another server by now: what it made is not there any more. */
    forgetMaker(key: string): void {
      const roomId = key.slice(0, key.indexOf('/'))
      const made = rooms.get(roomId)
      for (const [id, maker] of made ?? []) {
        if (maker.kind !== 'known' || maker.key !== key) continue
        made?.delete(id)
        total -= 1
      }
      if (made?.size === 0) rooms.delete(roomId)
    },

    forgetRoom(roomId: string): void {
      total -= rooms.get(roomId)?.size ?? 0
      rooms.delete(roomId)
    },

    get size(): number {
      return total
    },
  }
}
