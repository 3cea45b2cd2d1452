import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { answered, blocksOf, run, runBlock, startKitchen } from '../support/client-pages.ts'

/** Newer ones may want another page; so the page is tried with these. */
const PACKAGES = ['@langchain/openai@1.6.0', '@langchain/core@1.4.0']

const folder = mkdtempSync(join(tmpdir(), 'potluck-langchain-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** @returns why it can't be tried here; undefined where it can. */
async function install(): Promise<string | undefined> {
  writeFileSync(join(folder, 'package.json'), '{"private": true}')
  const { code, stderr } = await run(
    ['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...PACKAGES],
    folder,
    process.env,
  )
  return code === 0 ? undefined : `npm install failed (${code}): ${stderr.trim().slice(-500)}`
}

const obstacle = await install()
if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: LangChain for JavaScript: ${obstacle}`)

t.test('langchain-js.md: what the page says chats, plain and streamed', { skip: obstacle ?? false }, async (t) => {
  const kitchen = await startKitchen(t)
  const [block] = blocksOf('langchain-js.md')
  answered(t, await runBlock(block!, kitchen, folder, [process.execPath]), kitchen)
})
