import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OPERATIONS } from '../../plugins/access/operations.ts'

const PAGE = readFileSync('docs/access.md', 'utf8')

function runScript(...args: string[]) {
  return spawnSync(process.execPath, ['docs/access.ts', ...args], { encoding: 'utf8' })
}

t.test('the page says what the table of operations says', async (t) => {
  const { status, stderr } = runScript('--check')
  t.equal(status, 0, stderr)
})

t.test('every operation is on it', async (t) => {
  for (const { summary } of Object.values(OPERATIONS)) t.ok(PAGE.includes(`| ${summary} `), summary)
})

t.test('a stale page is refused, and mended by running the script', async (t) => {
  const file = join(t.testdir({ 'access.md': PAGE.replace(/^\| open a room .*\n/m, '') }), 'access.md')
  const { status, stderr } = runScript('--check', file)
  t.equal(status, 1)
  t.match(stderr, 'run `node docs/access.ts`')
  t.equal(runScript(file).status, 0)
  t.equal(readFileSync(file, 'utf8'), PAGE)
})
