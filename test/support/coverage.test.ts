import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'

function lines(total: number, covered: number) {
  return { lines: { total, covered, skipped: 0, pct: 'not read' } }
}

function check(t: Test, summary: Record<string, unknown>) {
  const directory = t.testdir({ 'summary.json': JSON.stringify(summary) })
  return runOn(join(directory, 'summary.json'))
}

function runOn(file: string) {
  return spawnSync(process.execPath, ['test/support/coverage.ts', file], { encoding: 'utf8' })
}

t.test('95 % of the lines are enough', async (t) => {
  const { status, stdout } = check(t, { total: lines(1000, 950), '/a.ts': lines(1000, 950) })
  t.equal(status, 0)
  t.match(stdout, 'lines covered: 95 %')
})

t.test('less is refused, and the files that miss most are named first', async (t) => {
  const files = { '/good.ts': lines(500, 500), '/a.ts': lines(200, 190), '/b.ts': lines(300, 259) }
  const { status, stderr } = check(t, { total: lines(1000, 949), ...files })
  t.equal(status, 1)
  t.match(stderr, /too few lines.*\n.*41 lines in \/b\.ts\n.*10 lines in \/a\.ts/)
  t.notMatch(stderr, '/good.ts')
})

t.test('a run that covered nothing at all is refused', async (t) => {
  t.equal(check(t, { total: lines(0, 0) }).status, 1)
})

t.test('a missing summary is refused with what to do', async (t) => {
  const { status, stderr } = runOn(join(t.testdir({}), 'none.json'))
  t.equal(status, 1)
  t.match(stderr, 'run `tap` with coverage first')
})
