/** One clock for all processes of the machine (CLOCK_MONOTONIC), ms: `performance.now()` begins anew in each. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
