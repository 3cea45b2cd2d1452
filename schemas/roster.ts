/** Where something stands in a roster; it leaves by it. */
export interface Place<T> {
  readonly item: T
  at: number
}

/**
 * What is under way at the moment, in no order. A `Set` would do, and makes requests cost half as much again: V8 makes a
 * set's table anew each time that it has filled up with what was deleted, and the old table, once it has survived for long,
 * keeps alive what stands in all that follow, with everything that hangs on it, until the next full collection.
 */
export class Roster<T> {
  readonly #places: Place<T>[] = []

  get size(): number {
    return this.#places.length
  }

  add(item: T): Place<T> {
    const place = { item, at: this.#places.length }
    this.#places.push(place)
    return place
  }

  /** Again does nothing. */
  remove(place: Place<T>): void {
    const { at } = place
    if (this.#places[at] !== place) return
    const last = this.#places.pop()
    if (last === undefined || last === place) return
    last.at = at
    this.#places[at] = last
  }

  items(): T[] {
    return this.#places.map(({ item }) => item)
  }
}
