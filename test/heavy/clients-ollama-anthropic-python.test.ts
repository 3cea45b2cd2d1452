import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { answerMessage } from '../support/anthropic-answers.ts'
import { answerInTurn } from '../support/client-answers.ts'
import { answered, blocksOf, run, runBlock, startKitchen } from '../support/client-pages.ts'
import { answerSaid } from '../support/ollama-answers.ts'

/** Newer ones may want other pages; so the pages are tried with these. */
const PACKAGES = ['ollama==0.6.3', 'anthropic==2.13.0']

const PAGES = {
  'anthropic-sdks.md': { path: '/v1/messages', say: answerMessage },
  'ollama-packages.md': { path: '/api/chat', say: (words: string[]) => answerSaid('chat', words) },
}

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
if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: ${PACKAGES.join(', ')}: ${obstacle}`)

for (const [page, { path, say }] of Object.entries(PAGES)) {
  const name = `${page}: what the page says for Python chats, plain and streamed`
  t.test(name, { skip: obstacle ?? false }, async (t) => {
    const kitchen = await startKitchen(t, { answerer: answerInTurn(say(['plain']), say(['stre', 'amed'])) })
    const block = blocksOf(page).find(({ language }) => language === 'python')
    answered(t, await runBlock(block!, kitchen, folder, [python]), kitchen, path)
  })
}
