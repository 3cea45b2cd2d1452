import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { listModels, ModelList, withoutImpliedTag } from '../../schemas/models.ts'
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

const { data } = listModels([away, alice, bob])
const entry = (id: string) => data.find((model) => model.id === id)

t.test('first the models by name, then who is there by id, then any', async (t) => {
  t.strictSame(
    data.map(({ id }) => id),
    ['llama3', 'qwen3', 'phi4', 'alice', 'bob', '*'],
  )
})

t.test('it is what its schema says', async (t) => {
  t.ok(Value.Check(ModelList, listModels([away, alice, bob])))
  t.ok(Value.Check(ModelList, listModels([])))
})

t.test('a room without anybody there offers nothing', async (t) => {
  t.strictSame(listModels([]), { object: 'list', data: [] })
  t.strictSame(listModels([away]), { object: 'list', data: [] })
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

t.test('times are whole seconds, of whoever was there first', async (t) => {
  t.strictSame(
    data.map(({ created }) => created),
    [1, 1, 5, 1, 5, 1],
  )
})

t.test('no secret and no specs are in it', async (t) => {
  t.notMatch(JSON.stringify(data), /specs|config|token|password/)
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
