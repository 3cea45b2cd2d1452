import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { answerMessage, messageOf } from '../support/anthropic-answers.ts'
import { answerFrames, answerInTurn, bodyOf, EVENTS, eventFrame } from '../support/client-answers.ts'
import { blocksOf, type Finished, type Kitchen, runBlock, startKitchen, testAlone } from '../support/client-pages.ts'

/** Newer ones may want another page; so the page is tried with this. */
const PACKAGE = '@anthropic-ai/claude-code@2.1.331'

const MODEL = 'qwen3:32b'
const ANSWER = answerMessage(['Rice ', 'and beans'])

await testAlone(t, [PACKAGE], (folder) => {
  const kitchenFolder = join(folder, 'kitchen')
  mkdirSync(kitchenFolder)

  /** Runs what the page says. */
  async function ask(kitchen: Kitchen): Promise<Finished> {
    const binaries = join(folder, `node_modules/@anthropic-ai/claude-code-${process.platform}-${process.arch}`)
    const env = { PATH: `${binaries}:/usr/bin:/bin`, HOME: folder, DISABLE_AUTOUPDATER: '1' }
    const [block] = blocksOf('claude-code.md')
    return runBlock(block!, kitchen, kitchenFolder, ['timeout', '60', 'bash', '-c'], env)
  }

  t.test('claude-code.md: what the page says is answered', async (t) => {
    const kitchen = await startKitchen(t, { model: MODEL, answerer: ANSWER })
    answers(t, await ask(kitchen))
    t.same(
      kitchen.llm.requests.map(({ path }) => path),
      ['/v1/messages?beta=true'],
    )
  })

  t.test('it reads the file that the model wants to read, and asks again', async (t) => {
    const file = join(kitchenFolder, 'soup.txt')
    writeFileSync(file, 'leek and potatoes')
    const answerer = answerInTurn(answerFrames(EVENTS, useOf('Read', { file_path: file })), ANSWER)
    const kitchen = await startKitchen(t, { model: MODEL, answerer })
    answers(t, await ask(kitchen))
    t.equal(kitchen.llm.requests.length, 2)
    t.match(JSON.stringify(bodyOf(kitchen.llm.requests[1]!).messages), /"tool_result"[^[\]]*leek and potatoes/)
  })
})

function answers(t: Test, { code, stdout, stderr }: Finished): void {
  t.equal(code, 0, 'it ends well', { stdout, stderr })
  t.match(stdout, 'Rice and beans')
}

/** A streamed answer that wants a tool to be used. */
function useOf(name: string, input: object): string[] {
  const use = { type: 'tool_use', id: 'toolu_1', name, input: {} }
  const delta = { type: 'input_json_delta', partial_json: JSON.stringify(input) }
  return [
    { type: 'message_start', message: messageOf([], { stop_reason: null }) },
    { type: 'content_block_start', index: 0, content_block: use },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 4 } },
    { type: 'message_stop' },
  ].map(eventFrame)
}
