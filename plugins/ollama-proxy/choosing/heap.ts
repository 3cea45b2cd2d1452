export const NOWHERE = -1

/** What can be in a heap; in one at a time. */
export interface Ranked {
  /** Where in it; the heap's own. */
  at: number
}

/** A binary heap whose members can be moved when their order changes, and taken out wherever they are. */
export class Heap<T extends Ranked> {
  readonly #isBefore: (one: T, other: T) => boolean
  readonly #items: T[] = []

  constructor(isBefore: (one: T, other: T) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  has(item: T): boolean {
    return this.#items[item.at] === item
  }

  /** The first one, which stays. */
  peek(): T | undefined {
    return this.#items[0]
  }

  /** The first one behind that. */
  peekSecond(): T | undefined {
    const second = this.#smallerChild(0)
    return second === undefined ? undefined : this.#items[second]
  }

  /** Adds it, or moves it to where it belongs by now. */
  put(item: T): void {
    if (!this.has(item)) item.at = this.#items.push(item) - 1
    this.#rise(item)
    this.#sink(item)
  }

  delete(item: T): boolean {
    if (!this.has(item)) return false
    const last = this.#items.pop() as T
    if (last !== item) {
      this.#set(item.at, last)
      this.#rise(last)
      this.#sink(last)
    }
    item.at = NOWHERE
    return true
  }

  /** In no order. */
  values(): readonly T[] {
    return this.#items
  }

  #rise(item: T): void {
    let { at } = item
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.#items[above] as T
      if (!this.#isBefore(item, parent)) break
      this.#set(at, parent)
      at = above
    }
    this.#set(at, item)
  }

  #sink(item: T): void {
    let { at } = item
    for (;;) {
      const below = this.#smallerChild(at)
      if (below === undefined || !this.#isBefore(this.#items[below] as T, item)) break
      this.#set(at, this.#items[below] as T)
      at = below
    }
    this.#set(at, item)
  }

  #smallerChild(at: number): number | undefined {
    const left = 2 * at + 1
    if (left >= this.#items.length) return undefined
    const right = left + 1
    const isRight = right < this.#items.length && this.#isBefore(this.#items[right] as T, this.#items[left] as T)
    return isRight ? right : left
  }

  #set(at: number, item: T): void {
    this.#items[at] = item
    item.at = at
  }
}
