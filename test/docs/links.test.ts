import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

const PAGES = [
  'README.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs').map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'))

/** Targets of links that stay in the repository. */
function localLinks(page: string): string[] {
  const targets = Array.from(readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target)
  return targets.filter((target) => !/^(https?:|#)/.test(target)).map((target) => target.replace(/#.*$/, ''))
}

for (const page of PAGES) {
  t.test(`every link of ${page} into the repository leads somewhere`, async (t) => {
    for (const target of localLinks(page)) t.ok(existsSync(join(dirname(page), target)), target)
  })
}

t.test('the README leads to every other page', async (t) => {
  t.same(
    PAGES.slice(1).filter((page) => !localLinks('README.md').includes(page)),
    [],
  )
})
