/**
 * Fails where the tests run too few of the lines; tap itself knows only all or nothing.
 *
 *   node test/support/coverage.ts [SUMMARY]   after `tap` with the reporter json-summary
 */
import { existsSync, readFileSync } from 'node:fs'

const FLOOR_PERCENT = 95
const [summary = '.tap/report/coverage-summary.json'] = process.argv.slice(2)

interface Covered {
  lines: { total: number; covered: number }
}

function percentOf({ lines: { total, covered } }: Covered): number {
  return total === 0 ? 0 : (covered / total) * 100
}

/** Where the most is missing comes first. */
function worst(files: Record<string, Covered>): string[] {
  const missing = Object.entries(files).map(([file, { lines }]) => ({ file, missing: lines.total - lines.covered }))
  const incomplete = missing.filter((entry) => entry.missing > 0).sort((left, right) => right.missing - left.missing)
  return incomplete.slice(0, 5).map((entry) => `  ${entry.missing} lines in ${entry.file}`)
}

function check(): string | undefined {
  if (!existsSync(summary)) return `${summary} is missing: run \`tap\` with coverage first`
  const { total, ...files } = JSON.parse(readFileSync(summary, 'utf8')) as Record<string, Covered> & { total: Covered }
  const percent = percentOf(total)
  console.log(`# lines covered: ${Math.floor(percent * 100) / 100} % (at least ${FLOOR_PERCENT} %)`)
  if (percent >= FLOOR_PERCENT) return undefined
  return [`the tests cover too few lines; most are missing here:`, ...worst(files)].join('\n')
}

const complaint = check()
if (complaint !== undefined) {
  console.error(complaint)
  process.exitCode = 1
}
