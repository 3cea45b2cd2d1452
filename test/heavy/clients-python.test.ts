import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { answered, blocksOf, run, runBlock, startKitchen } from '../support/client-pages.ts'

/** Newer ones may want another page; so the pages are tried with these. */
const PACKAGES = ['openai==3.54.0', 'langchain-openai==1.7.3']

const folder = mkdtempSync(join(tmpdir(), 'potluck-python-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const python = join(folder, 'bin/python')

/** @returns why it can't be tried here; undefined where it can. */
async function install(): Promise<string | undefined> {
  const steps = [
    ['python3', '-m', 'venv', folder],
    [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES],
  ]
  for (const step of steps) {
    const { code, stdout, stderr } = await run(step, tmpdir(), process.env)
    if (code !== 0) return `${step.slice(0, 4).join(' ')} failed (${code}): ${`${stdout}${stderr}`.trim().slice(-500)}`
  }
  return undefined
}

const obstacle = await install()
if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: Python's clients: ${obstacle}`)

for (const page of ['openai-python.md', 'langchain-python.md']) {
  t.test(`${page}: what the page says chats, plain and streamed`, { skip: obstacle ?? false }, async (t) => {
    const kitchen = await startKitchen(t)
    const [block] = blocksOf(page)
    answered(t, await runBlock(block!, kitchen, folder, [python]), kitchen)
  })
}
