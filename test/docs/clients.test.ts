import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { answerMessage } from '../support/anthropic-answers.ts'
import { answerInTurn } from '../support/client-answers.ts'
import { answered, blocksOf, FOLDER, pagesOf, readPage, runBlock, startKitchen } from '../support/client-pages.ts'
import { answerSaid } from '../support/ollama-answers.ts'

const PAGES = pagesOf()

t.test('curl: what the page says lists the models and chats, plain and streamed', async (t) => {
  const kitchen = await startKitchen(t)
  const outputs: string[] = []
  for (const block of blocksOf('curl.md')) {
    const { code, stdout, stderr } = await runBlock(block, kitchen, t.testdir({}), ['bash', '-c'])
    t.equal(code, 0, stderr)
    outputs.push(stdout)
  }
  const [models = '', plain = '', streamed = ''] = outputs
  t.match(models, '"id":"llama3.2:3b"')
  t.match(plain, '"content":"plain"')
  t.match(streamed, /"content":"stre"[\s\S]*data: \[DONE\]/)
})

for (const page of ['openai-js.md', 'ai-sdk.md']) {
  t.test(`${page}: what the page says chats, plain and streamed`, async (t) => {
    const kitchen = await startKitchen(t)
    const [block] = blocksOf(page)
    // Below the clone, where the packages are.
    answered(t, await runBlock(block!, kitchen, t.testdir({}), [process.execPath]), kitchen)
  })
}

const OTHERS = {
  'anthropic-sdks.md': { path: '/v1/messages', say: answerMessage },
  'ollama-packages.md': { path: '/api/chat', say: (words: string[]) => answerSaid('chat', words) },
}

for (const [page, { path, say }] of Object.entries(OTHERS)) {
  t.test(`${page}: what the page says for JavaScript chats, plain and streamed`, async (t) => {
    const kitchen = await startKitchen(t, { answerer: answerInTurn(say(['plain']), say(['stre', 'amed'])) })
    const [block] = blocksOf(page)
    answered(t, await runBlock(block!, kitchen, t.testdir({}), [process.execPath]), kitchen, path)
  })
}

t.test('in a room with a password the key is the password, and no other will do', async (t) => {
  const kitchen = await startKitchen(t, { password: 'salt and pepper' })
  const [block] = blocksOf('openai-js.md')
  const refused = await runBlock(block!, kitchen, t.testdir({}), [process.execPath])
  t.match(refused.stderr, /401 .*password/i)
  const text = block!.text.replace("apiKey: 'none'", "apiKey: 'salt and pepper'")
  answered(t, await runBlock({ ...block!, text }, kitchen, t.testdir({}), [process.execPath]), kitchen)
})

t.test('a page that says it was tried has blocks to try, and no other page has', async (t) => {
  for (const page of PAGES.filter((name) => name !== 'README.md'))
    t.equal(blocksOf(page).length > 0, /^Tried: /m.test(readPage(page)), page)
})

t.test('each page says whether it was tried, and where', async (t) => {
  for (const page of PAGES.filter((name) => name !== 'README.md')) {
    const [, test] = /^Tried: .* run in `([^`]+)`/m.exec(readPage(page)) ?? []
    if (test === undefined) t.match(readPage(page), /^Not tried: /m, page)
    else t.ok(existsSync(test), test)
  }
})

t.test('the index leads to each page, and says the same of it', async (t) => {
  const index = readPage('README.md')
  for (const page of PAGES.filter((name) => name !== 'README.md')) {
    const [, tried = ''] = new RegExp(`^\\| \\[[^\\]]+\\]\\(${page}\\) +\\| (.*?) +\\|$`, 'm').exec(index) ?? []
    const [test] = /`test\/[^`]+`/.exec(readPage(page)) ?? ['not tried']
    t.match(tried, test, page)
  }
})

t.test('every link of a page into the repository leads somewhere', async (t) => {
  for (const page of PAGES) {
    for (const [, target = ''] of readPage(page).matchAll(/\]\((?!https?:)([^)\s#]+)/g))
      t.ok(existsSync(join(FOLDER, target)), `${page}: ${target}`)
  }
})

t.test('all pages mean the same room, by the same example', async (t) => {
  for (const page of PAGES.filter((name) => name !== 'cursor.md'))
    t.match(readPage(page), 'http://hub:3000/rooms/K7QX2M', page)
})
