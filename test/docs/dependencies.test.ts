import { readFileSync } from 'node:fs'
import t from 'tap'

interface Manifest {
  license: string
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}

const PAGE = readFileSync('docs/dependencies.md', 'utf8')
const [atRunTime = '', forTests = ''] = PAGE.split('## For development and tests')
const manifest = readManifest('package.json')

/** Package name and licence of each line. */
function entries(section: string): [string, string][] {
  return Array.from(section.matchAll(/^\| `([^`]+)` +\|.*\| ([^|]+?) +\|$/gm), ([, name = '', licence = '']) => [
    name,
    licence,
  ])
}

t.test('every dependency has its line, and no other has one', async (t) => {
  const names = (section: string) => entries(section).map(([name]) => name)
  t.same(names(atRunTime).sort(), Object.keys(manifest.dependencies).sort())
  t.same(names(forTests).sort(), Object.keys(manifest.devDependencies).sort())
})

t.test('each licence is the one that the installed package declares', async (t) => {
  for (const [name, licence] of entries(PAGE)) {
    t.equal(licence, readManifest(`node_modules/${name}/package.json`).license, name)
  }
})
