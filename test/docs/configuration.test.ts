import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SETTINGS } from '../../src/config.ts'

const README = readFileSync('README.md', 'utf8')

function runScript(...args: string[]) {
  return spawnSync(process.execPath, ['docs/configuration.ts', ...args], { encoding: 'utf8' })
}

t.test("the README's table of settings is what the settings make", async (t) => {
  const { status, stderr } = runScript('--check')
  t.equal(status, 0, stderr)
})

t.test('the table has every setting by variable and flag', async (t) => {
  for (const { env, flag } of Object.values(SETTINGS))
    t.match(README, new RegExp(`^\\| \`${env}\` +\\| \`--${flag}\` +\\|`, 'm'))
})

t.test('a stale table is refused, and mended by running the script', async (t) => {
  const file = join(t.testdir({ 'README.md': README.replace(/^\| `PORT` .*\n/m, '') }), 'README.md')
  const { status, stderr } = runScript('--check', file)
  t.equal(status, 1)
  t.match(stderr, 'run `node docs/configuration.ts`')
  t.equal(runScript(file).status, 0)
  t.equal(readFileSync(file, 'utf8'), README)
})

t.test('a document without the markers is refused', async (t) => {
  const file = join(t.testdir({ 'README.md': '# No table here\n' }), 'README.md')
  t.not(runScript(file).status, 0)
  t.equal(readFileSync(file, 'utf8'), '# No table here\n')
})
