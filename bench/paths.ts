import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const REPOSITORY = join(import.meta.dirname, '..')

const { scripts } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { scripts: { start: string } }

/** With what `npm start` starts Node, in the repository. */
export const START: readonly string[] = scripts.start.split(' ').slice(1)

/** Nothing of the bench but its page stands in the repository. */
export const BENCH_HOME = join(tmpdir(), 'potluck-bench')

/** For one run: logs and settings; gone when the bench ends. */
export function makeWorkFolder(): string {
  mkdirSync(BENCH_HOME, { recursive: true })
  const folder = mkdtempSync(join(BENCH_HOME, 'run-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
