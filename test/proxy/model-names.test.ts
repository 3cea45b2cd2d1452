import t, { type Test } from 'tap'
import { errorOf, send } from '../support/chat.ts'
import { join } from '../support/hub.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'

async function servedModel(t: Test, { chatUrl, llm }: Kitchen, body: object): Promise<unknown> {
  const { status, text } = await send(t, chatUrl, body)
  return status === 200 ? (JSON.parse(llm.requests.at(-1)!.body.toString()) as { model: unknown }).model : text
}

const NAMES: [string, object][] = [
  ['any participant by *', { model: '*' }],
  ['any participant by any', { model: 'any' }],
  ['any participant by an absent model', { messages: [] }],
  ['any participant by null', { model: null }],
  ['any participant by an empty name', { model: '' }],
  ['a model by its name', { model: 'llama3.2:latest' }],
  ["a model by its name without Ollama's implied :latest", { model: 'llama3.2' }],
  ['a model by model:<name>', { model: 'model:llama3.2:latest' }],
  ['a model by model:<name> without the implied tag', { model: 'model:llama3.2' }],
  ['a participant by its id', { model: 'alice' }],
]

for (const [what, body] of NAMES) {
  t.test(`${what}: the participant reads its own name of the model`, async (t) => {
    const kitchen = await openKitchen(t, undefined, { participant: { model: 'llama3.2:latest' } })
    t.equal(await servedModel(t, kitchen, body), 'llama3.2:latest')
  })
}

t.test('the implied tag is dropped where the participant has the bare name', async (t) => {
  const kitchen = await openKitchen(t, undefined, { participant: { model: 'mistral' } })
  t.equal(await servedModel(t, kitchen, { model: 'mistral:latest' }), 'mistral')
})

t.test('an exact name comes before an implied one', async (t) => {
  const kitchen = await openKitchen(t, undefined, { participant: { model: 'mistral:latest' } })
  await join(kitchen.url, kitchen.code, { id: 'bob', model: 'mistral', endpoint: kitchen.llm.url })
  for (const model of ['mistral', 'mistral:latest', 'mistral', 'mistral:latest']) {
    t.equal(await servedModel(t, kitchen, { model }), model)
  }
})

t.test("a model's name comes before an id that looks like it without its tag", async (t) => {
  const kitchen = await openKitchen(t, undefined, { participant: { id: 'qwen', model: 'phi4' } })
  await join(kitchen.url, kitchen.code, { id: 'bob', model: 'mistral', endpoint: kitchen.llm.url })
  t.equal(await servedModel(t, kitchen, { model: 'qwen' }), 'phi4')
})

t.test('a name with quotes, escapes and other scripts reaches the participant as it gave it', async (t) => {
  const model = 'my "best" \\ modèle ☕ 😀'
  const kitchen = await openKitchen(t, undefined, { participant: { model } })
  t.equal(await servedModel(t, kitchen, { model: '*' }), model)
  t.equal(await servedModel(t, kitchen, { model }), model)
})

const UNKNOWN = [
  'ANY',
  'Llama3.2',
  'llama3.2:3',
  'model:',
  'model:alice',
  'model:*',
  'ALICE',
  ' llama3.2',
  'llama3.2:latest:latest',
]

t.test('names are neither guessed nor cut to fit', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, undefined, { participant: { model: 'llama3.2' } })
  for (const model of UNKNOWN) {
    const answer = await send(t, chatUrl, { model })
    t.equal(answer.status, 404, model)
    t.equal(errorOf(answer).message, 'No available participant for the requested model')
  }
  t.equal(llm.requests.length, 0)
})
