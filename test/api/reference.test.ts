import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startHub } from '../support/hub.ts'
import { type OpenApi, operationsOf } from '../support/openapi.ts'

const PAGE = readFileSync('docs/api.md', 'utf8')

function runScript(...args: string[]) {
  return spawnSync(process.execPath, ['docs/api.ts', ...args], { encoding: 'utf8' })
}

t.test('docs/api.md is what the description makes', async (t) => {
  const { status, stderr } = runScript('--check')
  t.equal(status, 0, stderr)
})

t.test('it has every operation, with its body, its answers and a line to try', async (t) => {
  const { hub } = await startHub(t)
  for (const { method, path, operation } of operationsOf((await hub.app).swagger() as unknown as OpenApi)) {
    const [, section = ''] = PAGE.split(`### ${method} ${path}\n`)
    const [own = ''] = section.split('\n### ')
    for (const status of Object.keys(operation.responses).filter((name) => name !== 'default'))
      t.match(own, `- **${status}**: `, `${method} ${path} ${status}`)
    t.equal(own.includes('\nBody:\n'), operation.requestBody !== undefined)
    t.match(own, /```sh\ncurl -s.*http:\/\/localhost:3000\//)
  }
})

t.test('its contents lead to every operation', async (t) => {
  const headings = Array.from(PAGE.matchAll(/^### (.*)$/gm), ([, heading = '']) => heading)
  t.ok(headings.length > 15)
  for (const heading of headings) t.match(PAGE, `- [${heading}](#`)
})

t.test('nothing in it was left unsaid', async (t) => {
  t.notMatch(PAGE, /undefined|\[object|NaN/)
})

t.test('a stale page is refused, and mended by running the script', async (t) => {
  const file = join(t.testdir({ 'api.md': PAGE.replace('### POST /rooms\n', '') }), 'api.md')
  const { status, stderr } = runScript('--check', file)
  t.equal(status, 1)
  t.match(stderr, 'run `node docs/api.ts`')
  t.equal(runScript(file).status, 0)
  t.equal(readFileSync(file, 'utf8'), PAGE)
})
