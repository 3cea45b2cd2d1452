/** Who runs on which core; of Linux alone. */
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { treeOf } from './proc.ts'

const CORES = availableParallelism()

/** Where the parties run, and where everybody else: as `taskset` counts them. */
const FOR_PARTIES = '0'
const FOR_OTHERS = `1-${CORES - 1}`

/**
 * Keeps a party, or one of the others, away from each other's cores, for as long as it runs. Who shares one with whom is the
 * kernel's to decide otherwise, and that decides over a third of what a request costs.
 * @returns whether that can be done here
 */
export function keepApart(pid: number | undefined, isParty: boolean): boolean {
  if (process.platform !== 'linux' || CORES < 2) return false
  try {
    for (const member of pid === undefined ? [] : treeOf(pid)) {
      execFileSync('taskset', ['-a', '-p', '-c', isParty ? FOR_PARTIES : FOR_OTHERS, String(member)], {
        stdio: 'ignore',
      })
    }
    return true
  } catch {
    // There is no `taskset`, or it may not do that.
    return false
  }
}
