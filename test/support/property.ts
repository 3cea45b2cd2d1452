import fc from 'fast-check'
import type { Test } from 'tap'

/** The same cases each time; another seed makes others, and that of a failed run the same again. */
export const SEED = Number(process.env.FC_SEED ?? 1)

/** Checks a property on `numRuns` generated cases, and says which seed they were made from. */
export function holds<T>(t: Test, name: string, property: fc.IProperty<T>, numRuns: number): void {
  t.comment(`${name}: ${numRuns} cases, FC_SEED=${SEED}`)
  const result = fc.check(property, { seed: SEED, numRuns })
  if (result.failed) t.fail(fc.defaultReportMessage(result) ?? name)
  else t.equal(result.numRuns, numRuns, name)
}
