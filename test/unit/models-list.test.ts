import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { NO_ALIASES, readAliases } from '../../schemas/aliases.ts'
import { listModels, ModelList } from '../../schemas/model-list.ts'
import { spellingsOf, withoutImpliedTag } from '../../schemas/models.ts'
import { participant } from '../support/participants.ts'

const alice = participant({
  id: 'alice',
  nickname: 'Alice',
  models: ['llama3', 'qwen3'],
  joinedAt: 1999,
  endpoint: 'http://127.0.0.1:1/v1',
})
const bob = participant({ id: 'bob', nickname: 'Bob', models: ['qwen3', 'phi4'], status: 'busy', joinedAt: 5000 })
const away = participant({ id: 'away', models: ['gemma3', 'llama3'], status: 'offline', joinedAt: 1000 })

const { data } = listModels([away, alice, bob], NO_ALIASES)
const entry = (id: string) => data.find((model) => model.id === id)

t.test('first the models by name, then who is there by id, then any', async (t) => {
  t.strictSame(
    data.map(({ id }) => id),
    ['llama3', 'qwen3', 'phi4', 'alice', 'bob', '*'],
  )
})

t.test('it is what its schema says', async (t) => {
  t.ok(Value.Check(ModelList, listModels([away, alice, bob], readAliases({ best: 'phi4' }))))
  t.ok(Value.Check(ModelList, listModels([], NO_ALIASES)))
})

t.test('a room without anybody there offers nothing', async (t) => {
  for (const aliases of [NO_ALIASES, readAliases({ best: 'gemma3' })]) {
    t.strictSame(listModels([], aliases), { object: 'list', data: [] })
    t.strictSame(listModels([away], aliases), { object: 'list', data: [] })
  }
})

t.test('a model names all who serve it and are there', async (t) => {
  t.strictSame(entry('qwen3')?.potluck, { kind: 'model', participants: ['alice', 'bob'] })
  t.strictSame(entry('llama3')?.potluck, { kind: 'model', participants: ['alice'] })
  t.notOk('gambiarra' in (entry('qwen3') ?? {}))
})

t.test('a participant is shown as the reference shows it, and with all its models', async (t) => {
  t.match(entry('alice'), {
    object: 'model',
    created: 1,
    owned_by: 'Alice',
    gambiarra: { nickname: 'Alice', model: 'llama3', endpoint: 'http://127.0.0.1:1/v1' },
    potluck: { kind: 'participant', participants: ['alice'], models: ['llama3', 'qwen3'] },
  })
})

t.test('any is everybody who is there', async (t) => {
  t.strictSame(entry('*')?.potluck, { kind: 'any', participants: ['alice', 'bob'] })
})

/** Of a room with aliases: id, kind, participants and models of each entry. */
function listed(aliases: Record<string, string | string[]>, participants = [away, alice, bob]): unknown[][] {
  const { data } = listModels(participants, readAliases(aliases))
  return data.map(({ id, potluck: { kind, participants, models } }) => [id, kind, participants, models])
}
const aliasesOf = (rows: unknown[][]) => rows.filter(([, kind]) => kind === 'alias')

t.test('aliases stand behind the models and before who is there', async (t) => {
  t.strictSame(
    listed({ best: 'phi4', 'gpt-4o': ['gemma3', 'phi4', 'qwen3'] }).map(([id]) => id),
    ['llama3', 'qwen3', 'phi4', 'best', 'gpt-4o', 'alice', 'bob', '*'],
  )
})

t.test('an alias names who could serve it, and all that it leads to in order of preference', async (t) => {
  t.strictSame(aliasesOf(listed({ 'gpt-4o': ['gemma3', 'phi4', 'qwen3'] })), [
    ['gpt-4o', 'alias', ['alice', 'bob'], ['gemma3', 'phi4', 'qwen3']],
  ])
  t.match(listModels([alice, bob], readAliases({ best: ['phi4', 'llama3'] })).data[3], {
    object: 'model',
    created: 1,
    owned_by: 'potluck',
  })
})

t.test('of aliases that lead over others the models are told, not the way', async (t) => {
  const aliases = { big: ['gemma3', 'phi4'], 'gpt-4o': ['big', 'small'], small: 'llama3:latest' }
  t.strictSame(aliasesOf(listed(aliases)), [
    ['big', 'alias', ['bob'], ['gemma3', 'phi4']],
    ['gpt-4o', 'alias', ['alice', 'bob'], ['gemma3', 'phi4', 'llama3:latest']],
    ['small', 'alias', ['alice'], ['llama3:latest']],
  ])
})

t.test('an alias leads to a model by its exact name, else by the implied tag', async (t) => {
  const tagged = participant({ id: 'tagged', models: ['llama3:latest', 'phi4:latest'] })
  t.strictSame(aliasesOf(listed({ exact: 'llama3', implied: 'phi4', none: 'phi4:latest:latest' }, [alice, tagged])), [
    ['exact', 'alias', ['alice'], ['llama3']],
    ['implied', 'alias', ['tagged'], ['phi4']],
  ])
})

t.test('an alias that leads to nobody who is there is not listed', async (t) => {
  t.strictSame(aliasesOf(listed({ gone: 'gemma3', never: ['x', 'y'], person: 'alice', any: '*' })), [])
})

t.test('a name is listed once: as a model, else as an alias, else as a participant', async (t) => {
  const rows = listed({ qwen3: 'phi4', bob: 'llama3', gemma3: 'phi4' })
  t.strictSame(
    rows.map(([id, kind]) => [id, kind]),
    [
      ['llama3', 'model'],
      ['qwen3', 'model'],
      ['phi4', 'model'],
      ['bob', 'alias'],
      ['gemma3', 'alias'],
      ['alice', 'participant'],
      ['*', 'any'],
    ],
  )
})

t.test('times are whole seconds, of whoever was there first', async (t) => {
  t.strictSame(
    data.map(({ created }) => created),
    [1, 1, 5, 1, 5, 1],
  )
})

t.test('no secret and no specs are in it', async (t) => {
  t.notMatch(JSON.stringify(data), /specs|config|token|password/)
})

t.test('what means the same by the implied tag', async (t) => {
  t.strictSame(['a', 'a:latest', 'a:8b', 'a:latest:latest'].map(spellingsOf), [
    ['a', 'a:latest'],
    ['a:latest', 'a'],
    ['a:8b', 'a:8b:latest'],
    ['a:latest:latest'],
  ])
})

t.test('the implied tag is left out, others are not', async (t) => {
  t.strictSame(['a:latest', 'a', 'a:8b', 'a:latest:latest', ':latest', 'latest'].map(withoutImpliedTag), [
    'a',
    'a',
    'a:8b',
    'a:latest',
    '',
    'latest',
  ])
})
