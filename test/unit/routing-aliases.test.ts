import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { findCandidates } from '../../plugins/ollama-proxy/routing.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { type Aliases, followAlias, NO_ALIASES, readAliases } from '../../schemas/aliases.ts'
import { withoutImpliedTag } from '../../schemas/models.ts'
import type { Participant } from '../../schemas/participant.ts'
import { record } from '../support/participants.ts'
import { holds } from '../support/property.ts'

const alice = record({ id: 'alice', models: ['llama3:latest', 'qwen3:8b'] })
const bob = record({ id: 'bob', models: ['qwen3:8b', 'mistral'] })
const carol = record({ id: 'carol', models: ['phi4'], status: 'busy' })
const away = record({ id: 'away', models: ['gemma3', 'phi4'], status: 'offline' })
const paused = record({ id: 'paused', models: ['mixtral', 'phi4'], status: 'busy', paused: true })
const room = [alice, bob, carol, away, paused]

type Given = Record<string, string | string[]>

function shown(groups: ReturnType<typeof findCandidates>): string[][] {
  return groups.map((group) => group.map(({ record, model }) => `${record.participant.id}/${model}`))
}

/** `id/model` of each candidate, group by group. */
function found(model: string, aliases: Given, records = room): string[][] {
  return shown(findCandidates(model, records, readAliases(aliases)))
}

t.test('an alias has a group for each of its models that somebody serves, in its order', async (t) => {
  const aliases = { 'gpt-4o': ['qwen3:32b', 'phi4', 'gemma3', 'qwen3:8b', 'mixtral'] }
  t.strictSame(found('gpt-4o', aliases), [['carol/phi4'], ['alice/qwen3:8b', 'bob/qwen3:8b']])
})

t.test('a plain name has one group, whatever the aliases', async (t) => {
  const aliases = { 'gpt-4o': ['phi4', 'qwen3:8b'] }
  t.strictSame(found('qwen3:8b', aliases), [['alice/qwen3:8b', 'bob/qwen3:8b']])
  t.strictSame(found('alice', aliases), [['alice/llama3:latest']])
  t.strictSame(found('*', aliases), [['alice/llama3:latest', 'bob/qwen3:8b', 'carol/phi4']])
})

t.test('a model of exactly that name goes before the alias', async (t) => {
  t.strictSame(found('mistral', { mistral: 'phi4' }), [['bob/mistral']])
  t.strictSame(found('gpt-4o', { 'gpt-4o': ['mistral', 'qwen3:8b'], mistral: 'phi4' }), [
    ['bob/mistral'],
    ['alice/qwen3:8b', 'bob/qwen3:8b'],
  ])
})

t.test('where nobody who offers the model is there, the alias of its name serves', async (t) => {
  t.strictSame(found('gemma3', { gemma3: 'phi4' }), [['carol/phi4']])
})

t.test('the alias goes before the implied tag', async (t) => {
  t.strictSame(found('llama3', { llama3: 'phi4' }), [['carol/phi4']])
  t.strictSame(found('mistral:latest', { 'mistral:latest': 'phi4' }), [['carol/phi4']])
  t.strictSame(found('llama3:latest', { llama3: 'phi4' }), [['alice/llama3:latest']])
})

t.test("the alias goes before a participant's id", async (t) => {
  t.strictSame(found('alice', { alice: 'phi4' }), [['carol/phi4']])
  t.throws(() => found('alice', { alice: 'nothing' }), { code: 'PTL_NO_PARTICIPANT' })
})

t.test('with model: an alias is not meant', async (t) => {
  t.throws(() => found('model:gpt-4o', { 'gpt-4o': 'phi4' }), { code: 'PTL_NO_PARTICIPANT' })
  t.strictSame(found('model:llama3', { llama3: 'phi4' }), [['alice/llama3:latest']])
})

t.test('what an alias leads to is a model, with the implied tag or without; never an id', async (t) => {
  t.strictSame(found('x', { x: ['llama3', 'phi4:latest'] }), [['alice/llama3:latest'], ['carol/phi4']])
  t.throws(() => found('x', { x: ['alice', 'bob'] }), { code: 'PTL_NO_PARTICIPANT' })
})

t.test('nobody comes twice with the same model', async (t) => {
  t.strictSame(found('x', { x: ['llama3', 'llama3:latest', 'phi4'] }), [['alice/llama3:latest'], ['carol/phi4']])
  t.strictSame(found('x', { x: ['a', 'b'], a: ['phi4', 'qwen3:8b'], b: ['qwen3:8b', 'mistral'] }), [
    ['carol/phi4'],
    ['alice/qwen3:8b', 'bob/qwen3:8b'],
    ['bob/mistral'],
  ])
})

t.test('an alias may lead over others', async (t) => {
  const aliases = { big: ['gemma3', 'phi4'], 'gpt-4o': ['big', 'small'], small: ['llama3', 'mistral'] }
  t.strictSame(found('gpt-4o', aliases), [['carol/phi4'], ['alice/llama3:latest'], ['bob/mistral']])
})

t.test('case counts', async (t) => {
  const aliases = { 'GPT-4o': 'phi4', 'gpt-4o': 'Phi4' }
  t.strictSame(found('GPT-4o', aliases), [['carol/phi4']])
  for (const model of ['gpt-4o', 'GPT-4O', 'Gpt-4o', ' GPT-4o'])
    t.throws(() => found(model, aliases), { code: 'PTL_NO_PARTICIPANT' }, model)
})

t.test('an alias has no implied tag of its own', async (t) => {
  t.throws(() => found('gpt-4o:latest', { 'gpt-4o': 'phi4' }), { code: 'PTL_NO_PARTICIPANT' })
})

t.test('an alias that leads nowhere is 404, and the error names it', async (t) => {
  for (const aliases of [{ 'gpt-4o': 'nothing' }, { 'gpt-4o': ['a', 'b'], a: 'nothing' }] as Given[]) {
    t.throws(() => found('gpt-4o', aliases), {
      code: 'PTL_NO_PARTICIPANT',
      statusCode: 404,
      message: 'No available participant for the requested model: nobody offers what the alias gpt-4o leads to',
    })
  }
})

t.test('an alias is away where all are whom it leads to, and paused where those who are not have paused', async (t) => {
  t.throws(() => found('x', { x: ['nothing', 'gemma3'] }), { code: 'PTL_PARTICIPANT_OFFLINE', statusCode: 503 })
  t.throws(() => found('gemma3', { gemma3: 'nothing' }), { code: 'PTL_PARTICIPANT_OFFLINE' })
  t.throws(() => found('x', { x: ['gemma3', 'mixtral'] }), { code: 'PTL_PARTICIPANT_PAUSED', statusCode: 503 })
  t.throws(() => found('x', { x: ['mixtral', 'nothing'] }), { code: 'PTL_PARTICIPANT_PAUSED' })
})

t.test('a circle that should not be there does no harm', async (t) => {
  t.strictSame(found('a', { a: ['b', 'phi4'], b: ['a', 'mistral'] }), [['bob/mistral'], ['carol/phi4']])
  t.throws(() => found('a', { a: 'a' }), { code: 'PTL_NO_PARTICIPANT' })
})

t.test('names that every object has lead nowhere by themselves', async (t) => {
  for (const model of ['__proto__', 'constructor', 'toString'])
    t.throws(() => found(model, { x: model }), { code: 'PTL_NO_PARTICIPANT' }, model)
  t.strictSame(found('constructor', { constructor: 'phi4' }), [['carol/phi4']])
})

const NAMES = ['a', 'a:latest', 'a:latest:latest', 'b', 'b:latest', 'c', 'd:latest', 'e', 'f', 'f:8b']
const name = fc.constantFrom(...NAMES)
const anyAliases: fc.Arbitrary<Aliases> = fc
  .dictionary(name, fc.uniqueArray(name, { minLength: 1, maxLength: 4 }))
  .map(readAliases)
const anyRoom: fc.Arbitrary<ParticipantRecord[]> = fc
  .array(
    fc.record({
      models: fc.uniqueArray(name, { minLength: 1, maxLength: 4 }),
      status: fc.constantFrom<Participant['status']>('online', 'busy', 'offline'),
      isPaused: fc.boolean(),
    }),
    { maxLength: 6 },
  )
  .map((entries) =>
    entries.map(({ models, status, isPaused }, index) =>
      record({ id: `p${index}`, models, status, ...(isPaused ? { paused: true } : {}) }),
    ),
  )

/** What comes of a request: the candidates, or the code of the refusal. */
function outcome(model: string, records: readonly ParticipantRecord[], aliases: Aliases): string[][] | string {
  try {
    return shown(findCandidates(model, records, aliases))
  } catch (error) {
    return (error as { code: string }).code
  }
}

t.test('an alias of one model serves as that model does', async (t) => {
  const property = fc.property(name, anyRoom, (model, records) => {
    const expected = outcome(`model:${model}`, records, NO_ALIASES)
    assert.deepEqual(outcome('alias', records, readAliases({ alias: model })), expected)
  })
  holds(t, 'alias of one', property, 2000)
})

t.test(
  'whatever the aliases: groups of those who can, each with a model of its own, in the order followed',
  async (t) => {
    const property = fc.property(name, anyRoom, anyAliases, (model, records, aliases) => {
      const groups = outcome(model, records, aliases)
      if (typeof groups === 'string') return
      const candidates = findCandidates(model, records, aliases)
      const all = groups.flat()
      assert.equal(new Set(all).size, all.length)
      const isOnOffer = (name: string) =>
        records.some(({ participant }) => participant.status !== 'offline' && participant.models.includes(name))
      const order = followAlias(model, aliases, isOnOffer).map(withoutImpliedTag)
      let last = -1
      for (const group of candidates) {
        assert.ok(group.length > 0)
        const names = new Set(group.map((candidate) => withoutImpliedTag(candidate.model)))
        assert.equal(names.size, 1)
        const at = order.findIndex((step, index) => index > last && names.has(step))
        assert.ok(at > last, 'in the order of preference')
        last = at
        for (const { record, model } of group) {
          assert.ok(record.participant.models.includes(model))
          assert.ok(record.participant.status !== 'offline' && record.participant.paused !== true)
        }
      }
    })
    holds(t, 'groups', property, 3000)
  },
)
