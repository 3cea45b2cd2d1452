/** Time as a dependency, so that tests own it. */
export interface Clock {
  /** ms since the epoch; jumps when the clock is set. */
  now(): number
  /** ms since some moment, with fractions; never jumps. For durations. */
  elapsed(): number
}
