import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type OpenAI from 'openai'
import t, { type Test } from 'tap'
import { answerFrames, answerInTurn, bodyOf, EVENTS, eventFrame } from '../support/client-answers.ts'
import { blocksOf, type Finished, type Kitchen, runBlock, startKitchen, testAlone } from '../support/client-pages.ts'
import { FRIDGE_CALL, responseFrames, responseOf } from '../support/responses-answers.ts'

/** Newer ones may want another page; so the page is tried with this. */
const PACKAGE = '@openai/codex@0.169.0'

const MODEL = 'qwen3:32b'
const ANSWER = answerFrames(EVENTS, responseFrames('resp_1', ['Rice ', 'and beans']))

await testAlone(t, [PACKAGE], (folder) => {
  const kitchenFolder = join(folder, 'kitchen')
  const configFolder = join(folder, '.codex')
  mkdirSync(kitchenFolder)
  mkdirSync(configFolder)

  /** Does what the page says: the one block is saved, the other one run. */
  async function ask(kitchen: Kitchen): Promise<Finished> {
    const env = { PATH: `${folder}/node_modules/.bin:${dirname(process.execPath)}:/usr/bin:/bin`, HOME: folder }
    const [config, command] = blocksOf('codex.md')
    await runBlock(config!, kitchen, configFolder, ['true'])
    return runBlock(command!, kitchen, kitchenFolder, ['timeout', '60', 'bash', '-c'], env)
  }

  t.test('codex.md: what the page says is answered', async (t) => {
    const kitchen = await startKitchen(t, { model: MODEL, answerer: ANSWER })
    answers(t, await ask(kitchen))
    t.same(
      kitchen.llm.requests.map(({ path }) => path),
      ['/v1/responses'],
    )
  })

  t.test('it uses the tool that the model wants, and asks again', async (t) => {
    const answerer = answerInTurn(answerFrames(EVENTS, callFrames('get_goal')), ANSWER)
    const kitchen = await startKitchen(t, { model: MODEL, answerer })
    answers(t, await ask(kitchen))
    t.equal(kitchen.llm.requests.length, 2)
    const { input } = bodyOf<{ input: OpenAI.Responses.ResponseInputItem[] }>(kitchen.llm.requests[1]!)
    t.match(input.at(-1), { type: 'function_call_output', call_id: FRIDGE_CALL.call_id, output: /goal/ })
  })
})

function answers(t: Test, { code, stdout, stderr }: Finished): void {
  t.equal(code, 0, 'it ends well', { stdout, stderr })
  t.equal(stdout, 'Rice and beans\n')
}

/** A streamed answer that wants a tool to be used which takes nothing. */
function callFrames(name: string): string[] {
  const item = { ...FRIDGE_CALL, name, arguments: '{}' }
  const begun = { ...responseOf('resp_0', [], { status: 'in_progress' }), usage: null }
  return [
    { type: 'response.created', response: begun },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, arguments: '' } },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: responseOf('resp_0', [item]) },
  ].map((event, sequence_number) => eventFrame({ ...event, sequence_number }))
}
