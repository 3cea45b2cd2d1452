import fc from 'fast-check'
import type { Test } from 'tap'

/** Set this to the seed that a failed run printed, to run the same cases again. */
const SEED = process.env.FC_SEED

/** Checks a property on `numRuns` generated cases, and prints the seed they were made from. */
export function holds<T>(t: Test, name: string, property: fc.IProperty<T>, numRuns: number): void {
  const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED)
  t.comment(`${name}: ${numRuns} cases, FC_SEED=${seed}`)
  const result = fc.check(property, { seed, numRuns })
  if (result.failed) t.fail(fc.defaultReportMessage(result) ?? name)
  else t.equal(result.numRuns, numRuns, name)
}
