import t from 'tap'
import { mergeRunning, mergeTags, oldestVersion } from '../../plugins/ollama-proxy/ollama-lists.ts'
import type { Surveyed } from '../../plugins/ollama-proxy/survey.ts'
import { record } from '../support/participants.ts'

/** What a participant with these models was heard to say. */
function heard(id: string, models: readonly string[], answer?: unknown): Surveyed {
  return {
    record: record({ id, models: [...models] }),
    ...(answer === undefined ? {} : { answer: answer as Record<string, unknown> }),
  }
}

const DETAILS = {
  parent_model: '',
  format: 'gguf',
  family: 'llama',
  families: ['llama'],
  parameter_size: '3.2B',
  quantization_level: 'Q4_K_M',
}

/** As Ollama tells of a model. */
const toldOf = (name: string, more: object = {}) => ({
  name,
  model: name,
  modified_at: '2025-05-04T17:37:44.706015396-07:00',
  size: 3338801804,
  digest: 'a2af6cc3eb7fa8be8504abaf9b04e88f17a119ec3f04a3addf55f92841195f5a',
  details: DETAILS,
  ...more,
})

const EMPTY = { parent_model: '', format: '', family: '', families: [], parameter_size: '', quantization_level: '' }

t.test('a model is told of as its server tells, with who has it', async (t) => {
  t.strictSame(mergeTags([heard('alice', ['llama3.2:3b'], { models: [toldOf('llama3.2:3b')] })]), [
    { ...toldOf('llama3.2:3b'), modified_at: '2025-05-05T00:37:44.706Z', potluck: { participants: ['alice'] } },
  ])
})

t.test('a server that tells nothing has its models all the same', async (t) => {
  const [tag] = mergeTags([heard('alice', ['llama3.2:3b'])])
  t.strictSame(tag, {
    name: 'llama3.2:3b',
    model: 'llama3.2:3b',
    modified_at: new Date(1000).toISOString(),
    size: 0,
    digest: '',
    details: EMPTY,
    potluck: { participants: ['alice'] },
  })
})

t.test('a model of several is there once, as the first tells it who knows more than its name', async (t) => {
  const tags = mergeTags([
    heard('alice', ['a', 'b']),
    heard('bob', ['b', 'a'], { models: [toldOf('a', { size: 1 })] }),
    heard('carol', ['a', 'b'], { models: [toldOf('a', { size: 2 }), toldOf('b', { size: 3 })] }),
  ])
  t.strictSame(
    tags.map(({ name, size, potluck }) => [name, size, potluck.participants]),
    [
      ['a', 1, ['alice', 'bob', 'carol']],
      ['b', 3, ['alice', 'bob', 'carol']],
    ],
  )
})

t.test('the implied tag is no difference; what the room calls it stays', async (t) => {
  const tags = mergeTags([
    heard('alice', ['llama3.2'], { models: [toldOf('llama3.2:latest', { size: 7 })] }),
    heard('bob', ['mistral:latest'], { models: [toldOf('mistral', { size: 8 })] }),
  ])
  t.strictSame(
    tags.map(({ name, size }) => [name, size]),
    [
      ['llama3.2', 7],
      ['mistral:latest', 8],
    ],
  )
})

t.test('what is not on offer is never told of', async (t) => {
  const answer = { models: [toldOf('secret-project'), toldOf('a'), { model: 'another-secret' }] }
  for (const list of [mergeTags([heard('alice', ['a'], answer)]), mergeRunning([heard('alice', ['a'], answer)])]) {
    t.notMatch(JSON.stringify(list), /secret/)
    t.equal(list.length, 1)
  }
})

const HOSTILE: [string, unknown][] = [
  ['no list', { models: 'many' }],
  ['an object', { models: { 0: toldOf('a') } }],
  ['a list itself', [toldOf('a')]],
  ['no objects', { models: [null, 7, 'a', ['a'], [toldOf('a')]] }],
  ['no names', { models: [{ name: 7, model: null }, {}] }],
  ['nothing', {}],
]

for (const [what, answer] of HOSTILE) {
  t.test(`where a server answers ${what}, its models are there by their names`, async (t) => {
    t.match(mergeTags([heard('alice', ['a'], answer)]), [{ name: 'a', size: 0, details: EMPTY }])
    t.strictSame(mergeRunning([heard('alice', ['a'], answer)]), [])
  })
}

// One value that Ollama's own clients can't read would cost them the whole list.
t.test('values of the wrong kind are not passed on', async (t) => {
  const wrong = ['7', -1, 1.5, 1e21, 2 ** 53, null, [], {}, true, Number.POSITIVE_INFINITY]
  for (const value of wrong) {
    const models = [
      toldOf('a', { size: value, size_vram: value, context_length: value, digest: [value], details: value }),
    ]
    t.match(mergeTags([heard('alice', ['a'], { models })]), [{ size: 0, digest: '', details: EMPTY }], String(value))
    const [running] = mergeRunning([heard('alice', ['a'], { models })])
    t.match(running, { size: 0, size_vram: 0 }, String(value))
    t.notOk('context_length' in running!, String(value))
  }
})

t.test('times that are none are not passed on', async (t) => {
  const wrong = [
    ...['', 'yesterday', '2025-05-04', '2025-05-04 17:37:44Z', '2025-13-04T17:37:44Z', '2025-05-04T25:37:44Z', 7, null],
    ...['0000-01-01T00:00:00+14:00', '9999-12-31T23:59:59-14:00', `2025-05-04T17:37:44.${'1'.repeat(300)}Z`],
  ]
  for (const time of wrong) {
    const models = [toldOf('a', { modified_at: time, expires_at: time })]
    t.match(
      mergeTags([heard('alice', ['a'], { models })]),
      [{ modified_at: new Date(1000).toISOString() }],
      String(time),
    )
    t.match(mergeRunning([heard('alice', ['a'], { models })]), [{ expires_at: '0001-01-01T00:00:00Z' }], String(time))
  }
})

t.test('texts have a bound', async (t) => {
  const long = 'x'.repeat(100_000)
  const details = { ...DETAILS, format: long, family: long, families: Array(1000).fill(long), parameter_size: long }
  const models = [toldOf('a', { digest: long, details })]
  t.ok(JSON.stringify(mergeTags([heard('alice', ['a'], { models })])).length < 5000)
  t.ok(JSON.stringify(mergeRunning([heard('alice', ['a'], { models })])).length < 5000)
})

t.test('what is loaded is told of machine by machine', async (t) => {
  const running = { size_vram: 5137025024, expires_at: '2024-06-04T14:38:31.837+00:00', context_length: 4096 }
  const list = mergeRunning([
    heard('alice', ['a', 'b'], { models: [toldOf('b', running)] }),
    heard('bob', ['a', 'b']),
    heard('carol', ['b'], { models: [toldOf('b', { ...running, size_vram: 1 })] }),
  ])
  t.match(list, [
    {
      name: 'b',
      model: 'b',
      size: 3338801804,
      size_vram: 5137025024,
      expires_at: '2024-06-04T14:38:31.837Z',
      context_length: 4096,
      details: DETAILS,
      potluck: { participants: ['alice'] },
    },
    { name: 'b', size_vram: 1, potluck: { participants: ['carol'] } },
  ])
  t.equal(list.length, 2)
})

const versionOf = (...versions: unknown[]) =>
  oldestVersion(versions.map((version) => heard('alice', ['a'], { version })))

t.test('of versions the oldest counts, as numbers', async (t) => {
  t.equal(versionOf('0.5.1'), '0.5.1')
  t.equal(versionOf('0.12.3', '0.9.10', '0.10.0'), '0.9.10')
  t.equal(versionOf('1.0.0', '0.99.99'), '0.99.99')
  t.equal(versionOf('0.5.13', '0.5.4-rc1', '0.5.5+build.7'), '0.5.4-rc1')
})

t.test('what is no version does not count', async (t) => {
  const none = [
    '',
    'latest',
    '0.5',
    'v0.5.1',
    '0.5.1 <b>',
    7,
    null,
    ['0.5.1'],
    '0.5.1\n',
    '1'.repeat(300),
    `0.5.1-${'x'.repeat(100)}`,
  ]
  for (const version of none) {
    t.equal(versionOf(version), '0.0.0', JSON.stringify(version))
    t.equal(versionOf(version, '0.6.0'), '0.6.0', JSON.stringify(version))
  }
  t.equal(versionOf(), '0.0.0')
  t.equal(oldestVersion([heard('alice', ['a'])]), '0.0.0')
})
