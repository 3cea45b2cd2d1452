import t from 'tap'
import { findCandidates } from '../../plugins/ollama-proxy/routing.ts'
import { NO_ALIASES } from '../../schemas/aliases.ts'
import { record } from '../support/participants.ts'

const alice = record({ id: 'alice', models: ['llama3:latest', 'qwen3:8b'] })
const bob = record({ id: 'bob', models: ['qwen3:8b'] })
const carol = record({ id: 'carol', models: ['phi4'], status: 'busy' })
const away = record({ id: 'away', models: ['gemma3', 'phi4'], status: 'offline' })
const paused = record({ id: 'paused', models: ['mistral', 'phi4'], status: 'busy', paused: true })
const room = [alice, bob, carol, away, paused]

/** `id/model` of each candidate; a plain name has one group of them. */
function found(model: string, records = room): string[] {
  const [group, ...others] = findCandidates(model, records, NO_ALIASES)
  if (others.length > 0) throw new Error(`${model} has ${others.length} groups more`)
  return group.map(({ record, model }) => `${record.participant.id}/${model}`)
}

t.test('any of those who are there may serve, with its first model', async (t) => {
  for (const any of ['*', 'any', ''])
    t.strictSame(found(any), ['alice/llama3:latest', 'bob/qwen3:8b', 'carol/phi4'], any)
})

t.test('a model is served by all who offer it', async (t) => {
  t.strictSame(found('qwen3:8b'), ['alice/qwen3:8b', 'bob/qwen3:8b'])
})

t.test('those who are busy may serve, those who are away or paused may not', async (t) => {
  t.strictSame(found('phi4'), ['carol/phi4'])
})

t.test('the implied tag may be left out and added; upstream gets the name as it is offered there', async (t) => {
  t.strictSame(found('llama3'), ['alice/llama3:latest'])
  t.strictSame(found('llama3:latest'), ['alice/llama3:latest'])
  t.strictSame(found('phi4:latest'), ['carol/phi4'])
  t.strictSame(found('qwen3:8b:latest'), ['alice/qwen3:8b', 'bob/qwen3:8b'])
})

t.test('the exact name goes before the implied tag', async (t) => {
  const exact = record({ id: 'exact', models: ['llama3'] })
  t.strictSame(found('llama3', [alice, exact]), ['exact/llama3'])
  t.strictSame(found('llama3:latest', [alice, exact]), ['alice/llama3:latest'])
})

t.test('a participant is named by its id, and serves its first model', async (t) => {
  t.strictSame(found('alice'), ['alice/llama3:latest'])
})

t.test('with model: only a model is meant', async (t) => {
  t.strictSame(found('model:llama3'), ['alice/llama3:latest'])
  t.strictSame(found('model:phi4'), ['carol/phi4'])
  t.throws(() => found('model:alice'), { code: 'PTL_NO_PARTICIPANT' })
  t.throws(() => found('model:'), { code: 'PTL_NO_PARTICIPANT' })
  t.throws(() => found('model:*'), { code: 'PTL_NO_PARTICIPANT' })
})

t.test('names are matched whole, with regard to case', async (t) => {
  for (const model of ['LLAMA3', 'llama', 'llama3:8b', ' phi4', 'Alice', ':latest', 'ANY', '**', '__proto__']) {
    t.throws(() => found(model), { code: 'PTL_NO_PARTICIPANT', statusCode: 404 }, model)
  }
})

t.test('who is known but away is offline, not unknown', async (t) => {
  const offline = { code: 'PTL_PARTICIPANT_OFFLINE', statusCode: 503 }
  for (const model of ['gemma3', 'gemma3:latest', 'model:gemma3', 'away']) t.throws(() => found(model), offline, model)
})

t.test('who is there but paused is told apart from who is away', async (t) => {
  const refusal = { code: 'PTL_PARTICIPANT_PAUSED', statusCode: 503 }
  for (const model of ['mistral', 'model:mistral', 'paused']) t.throws(() => found(model), refusal, model)
  t.throws(() => found('*', [away, paused]), refusal)
})

t.test('where nobody is there, anybody is nobody', async (t) => {
  t.throws(() => found('*', []), { code: 'PTL_NO_PARTICIPANT' })
  t.throws(() => found('', [away]), { code: 'PTL_NO_PARTICIPANT' })
})
