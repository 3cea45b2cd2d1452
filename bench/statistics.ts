/** A figure and what it may be as well: its interval of 95 %. */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number
}

/** By nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right)
  const [upper = Number.NaN, lower = Number.NaN] = [sorted[sorted.length >> 1], sorted[(sorted.length - 1) >> 1]]
  return (upper + lower) / 2
}

const RESAMPLES = 4000

/** The median with its bootstrap interval: what it would have been, had the same figures come in another mixture. */
export function estimate(values: readonly number[]): Estimate {
  const random = createRandom()
  const draw = () => values[Math.floor(random() * values.length)] ?? Number.NaN
  const medians = Array.from({ length: RESAMPLES }, () => median(values.map(draw)))
  return { value: median(values), low: quantile(medians, 0.025), high: quantile(medians, 0.975) }
}

/** The ratio of two parties within each pair: what else the machine did then fell on both. */
export function ratio(of: readonly number[], to: readonly number[]): Estimate {
  return estimate(of.map((value, pair) => value / (to[pair] ?? Number.NaN)))
}

/** As `ratio`, of what is added. */
export function difference(of: readonly number[], to: readonly number[]): Estimate {
  return estimate(of.map((value, pair) => value - (to[pair] ?? Number.NaN)))
}

/** Always the same numbers, so that the same figures give the same interval (xorshift32). */
function createRandom(): () => number {
  let state = 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 0x1_0000_0000
  }
}
