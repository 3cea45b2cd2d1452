import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { scanObject } from '../../plugins/ollama-proxy/json-scan.ts'
import { lookWithin, spliceBody } from '../../plugins/ollama-proxy/splice.ts'
import { holds } from '../support/property.ts'

type Defaults = Record<string, unknown>

function splice(text: string, model: string, defaults: Defaults = {}): string {
  const bytes = Buffer.from(text)
  return spliceBody(bytes, scanObject(bytes), { model, defaults: new Map(Object.entries(defaults)) }).toString()
}

/** A body in pieces: what the client wrote, and where. */
interface Field {
  /** The key as it is written, escapes included. */
  key: string
  /** The value as it is written. */
  value: string
}

/** Values that a parser would write differently than the client did. */
const TELLING = [
  '1e400',
  '-1E+400',
  '1.0',
  '-0',
  '0.10',
  '1E5',
  '12345678901234567890',
  '"\\u0041\\/"',
  '"\\ud83d"',
  '[ ]',
  '{ "a" : 1 }',
]

const spaces = fc.constantFrom('', ' ', '\n', '\t', '\r\n  ')
const values = fc.oneof(fc.constantFrom(...TELLING), fc.json({ stringUnit: 'binary', maxDepth: 2 }))
const keys = fc.constantFrom(
  'stream',
  'str\\u0065am',
  'temperature',
  'top_p',
  'n',
  'messages',
  'tempe\\u0072ature',
  'x y',
  'é',
)
const fields = fc.array(fc.record({ key: keys, value: values }), { maxLength: 8 })
const modelNames = fc.oneof(
  fc.constantFrom('llama3.2:3b', 'a"b', 'модель', '\\'),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const defaultsOf = fc.dictionary(
  fc.constantFrom('temperature', 'top_p', 'stop', 'seed'),
  fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(fc.string({ unit: 'binary' }), { maxLength: 3 }),
  ),
)

/** The body with these fields, with that much space around everything. */
function write(all: readonly Field[], space: string): string {
  const list = all.map(({ key, value }) => `${space}"${key}"${space}:${space}${value}${space}`)
  return `${space}{${list.join(',') || space}}${space}`
}

/** What must come out, made from the pieces instead of from the body. */
function expected(all: readonly Field[], space: string, model: string, defaults: Defaults): string {
  const has = (name: string) => all.some(({ key }) => JSON.parse(`"${key}"`) === name)
  const replaced = all.map((field) => (isModel(field) ? { ...field, value: JSON.stringify(model) } : field))
  const front = Object.entries({ ...(has('model') ? {} : { model }), ...defaults }).filter(([name]) => !has(name))
  const text = front.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')
  const comma = text !== '' && all.length > 0 ? ',' : ''
  return write(replaced, space).replace('{', () => `{${text}${comma}`)
}

function isModel({ key }: Field): boolean {
  return JSON.parse(`"${key}"`) === 'model'
}

const modelFields = fc.option(
  fc.record({
    key: fc.constantFrom('model', 'mod\\u0065l', '\\u006dodel', 'name', 'n\\u0061me'),
    value: fc.oneof(
      fc.constantFrom('"*"', 'null', '"a\\u0020b"', '1.0'),
      fc.string().map((name) => JSON.stringify(name)),
    ),
    at: fc.nat(8),
  }),
  { nil: undefined },
)

/** A body's fields, the model among them at any place, or not there at all. */
const bodies = fc.tuple(fields, modelFields).map(([others, model]) => {
  const all: Field[] = [...others]
  if (model !== undefined) all.splice(Math.min(model.at, all.length), 0, { key: model.key, value: model.value })
  return all
})

t.test(
  'the model’s name is replaced or added, missing defaults come in front, and no other byte changes',
  async (t) => {
    const property = fc.property(bodies, spaces, modelNames, defaultsOf, (body, space, model, defaults) => {
      assert.equal(splice(write(body, space), model, defaults), expected(body, space, model, defaults))
    })
    holds(t, 'pieces', property, 8000)
  },
)

t.test('what comes out means the client’s fields, the model and the defaults on which it is silent', async (t) => {
  const property = fc.property(bodies, spaces, modelNames, defaultsOf, (body, space, model, defaults) => {
    const text = write(body, space)
    const sent = JSON.parse(splice(text, model, defaults)) as Defaults
    const given = JSON.parse(text) as Defaults
    // Through JSON, where -0 is 0 and what is no number is null.
    const added = JSON.parse(JSON.stringify(defaults)) as Defaults
    assert.deepEqual(sent, { ...added, ...given, model: JSON.parse(JSON.stringify(model)) })
  })
  holds(t, 'meaning', property, 4000)
})

t.test('where nothing is to be changed the very same bytes go on', async (t) => {
  const bytes = Buffer.from('{"model":"a","temperature":1.0}')
  const insertions = { model: 'a', defaults: new Map([['temperature', 0.5]]) }
  t.equal(spliceBody(bytes, scanObject(bytes), insertions), bytes)
})

t.test('the client’s bytes are never written to', async (t) => {
  const text = '{"model":"*","n":1}'
  const bytes = Buffer.from(text)
  spliceBody(bytes, scanObject(bytes), { model: 'longer than before', defaults: new Map([['seed', 1]]) })
  t.equal(bytes.toString(), text)
})

t.test('numbers, escapes, order and duplicates stay as they were written', async (t) => {
  const rest = '"a":1e400,"b":1.0,"c":-0,"a":2,"d":"\\u00e9\\/\\ud83d","e":0.1E+1'
  t.equal(splice(`{"model":"*",${rest}}`, 'x'), `{"model":"x",${rest}}`)
  t.equal(splice(`{${rest},"model":"*"}`, 'x'), `{${rest},"model":"x"}`)
})

t.test('an empty body gets a model and the defaults', async (t) => {
  t.equal(splice('{}', 'x', { seed: 1 }), '{"model":"x","seed":1}')
  t.equal(splice(' { } ', 'x'), ' {"model":"x" } ')
})

t.test('a default never comes behind what the client wrote', async (t) => {
  t.equal(splice('{"model":"x","n":1}', 'x', { seed: 1 }), '{"seed":1,"model":"x","n":1}')
})

t.test('a field that the client set to null is not silent', async (t) => {
  t.equal(splice('{"model":"x","seed":null}', 'x', { seed: 1 }), '{"model":"x","seed":null}')
})

t.test('a nested model is nobody’s business', async (t) => {
  const text = '{"messages":[{"model":"*"}],"x":{"model":"*"}}'
  t.equal(splice(text, 'x'), `{"model":"x",${text.slice(1)}`)
})

t.test('a model’s name is escaped as JSON has it', async (t) => {
  t.equal(splice('{"model":"*"}', 'a"\\\n\u2028\ud800'), '{"model":"a\\"\\\\\\n\u2028\\ud800"}')
})

/** Where things go that go elsewhere in some APIs. */
interface Places {
  modelField?: string
  within?: string
}

function spliceAt(text: string, { modelField = 'model', within }: Places, model: string, defaults: Defaults): string {
  const bytes = Buffer.from(text)
  const scanned = scanObject(bytes)
  const where = within === undefined ? {} : { within: lookWithin(bytes, scanned, within) }
  return spliceBody(bytes, scanned, {
    modelField,
    model,
    defaults: new Map(Object.entries(defaults)),
    ...where,
  }).toString()
}

/** What stands in `options`: fields, or a value that is no object. */
type Nested = { fields: Field[]; space: string } | { value: string }

/** Fields of another object, and texts that look like them. */
const DECOYS = [
  '{"temperature":9}',
  '{"options":{"top_p":9}}',
  '"\\"temperature\\":9,"',
  '"{\\"options\\":{}}"',
  '["options",{"seed":9}]',
]

const nestedKeys = fc.constantFrom(
  'temperature',
  'tempe\\u0072ature',
  'top_p',
  'num_ctx',
  'options',
  'model',
  'x y',
  'é',
)
const nestedValues = fc.oneof(fc.constantFrom(...TELLING, ...DECOYS), fc.json({ stringUnit: 'binary', maxDepth: 1 }))
const nestedFields = fc.array(fc.record({ key: nestedKeys, value: nestedValues }), { maxLength: 5 })
const nested = fc.oneof(
  { weight: 4, arbitrary: fc.record({ fields: nestedFields, space: spaces }) },
  { weight: 1, arbitrary: fc.constant({ value: 'null' }) },
  { weight: 1, arbitrary: fc.constantFrom('7', '"{}"', '[]', '[{}]', 'true', '"null"').map((value) => ({ value })) },
)

/** `options` at some place, under one of the ways to write it. */
const optionsFields = fc.record({ key: fc.constantFrom('options', 'opt\\u0069ons'), nested, at: fc.nat(8) })

interface NestedBody {
  fields: Field[]
  /** Of those fields that are `options`: what stands in them. */
  options: ReadonlyMap<Field, Nested>
}

/** Without `options`, with one, or with two. */
const nestedBodies = fc.tuple(bodies, fc.array(optionsFields, { maxLength: 2 })).map(([others, several]) => {
  const body = { fields: others.map((field) => decoyed(field)), options: new Map<Field, Nested>() }
  for (const { key, nested, at } of several) {
    const field = { key, value: textOf(nested) }
    body.fields.splice(at, 0, field)
    body.options.set(field, nested)
  }
  return body satisfies NestedBody
})

/** Some of the other fields hold what `options` would. */
function decoyed(field: Field): Field {
  return field.key === 'messages' ? { ...field, value: DECOYS[field.value.length % DECOYS.length] as string } : field
}

function textOf(nested: Nested): string {
  return 'value' in nested ? nested.value : write(nested.fields, nested.space)
}

const nameOf = ({ key }: Field): string => JSON.parse(`"${key}"`) as string

/** What must come out, made from the pieces: only the last `options` counts. */
function expectedNested(
  { fields, options }: NestedBody,
  space: string,
  places: Places,
  model: string,
  defaults: Defaults,
) {
  const { modelField = 'model' } = places
  const has = (name: string) => fields.some((field) => nameOf(field) === name)
  const last = fields.findLast((field) => options.has(field))
  const isThere = Object.keys(defaults).length > 0
  const written = fields.map((field) => {
    if (nameOf(field) === modelField) return { ...field, value: JSON.stringify(model) }
    return field === last ? { ...field, value: filled(options.get(field) as Nested, defaults) } : field
  })
  const front = {
    ...(has(modelField) ? {} : { [modelField]: model }),
    ...(last === undefined && isThere ? { options: defaults } : {}),
  }
  return write(written, space).replace('{', () => `{${frontOf(front, fields.length === 0)}`)
}

function filled(nested: Nested, defaults: Defaults): string {
  if ('value' in nested) {
    return nested.value === 'null' && Object.keys(defaults).length > 0 ? JSON.stringify(defaults) : nested.value
  }
  const silent = Object.entries(defaults).filter(([name]) => !nested.fields.some((field) => nameOf(field) === name))
  const front = frontOf(Object.fromEntries(silent), nested.fields.length === 0)
  return textOf(nested).replace('{', () => `{${front}`)
}

function frontOf(added: Defaults, isAlone: boolean): string {
  const text = JSON.stringify(added).slice(1, -1)
  return text === '' || isAlone ? text : `${text},`
}

const placesOf = fc.constantFrom('model', 'name').map((modelField) => ({ modelField, within: 'options' }))

t.test('defaults go into the object that they belong to, and no other byte changes', async (t) => {
  const property = fc.property(
    fc.tuple(nestedBodies, spaces, placesOf, modelNames, defaultsOf),
    ([body, space, places, model, defaults]) => {
      const text = write(body.fields, space)
      assert.equal(spliceAt(text, places, model, defaults), expectedNested(body, space, places, model, defaults))
    },
  )
  holds(t, 'nested pieces', property, 6000)
})

/** The same by way of what it all means. */
function meant(given: Defaults, { modelField = 'model' }: Places, model: string, defaults: Defaults): Defaults {
  const changed: Defaults = { ...given, [modelField]: model }
  const { options } = given
  if (Object.keys(defaults).length === 0 || (options !== undefined && !isObject(options ?? {}))) return changed
  return { ...changed, options: { ...defaults, ...(options as Defaults | null) } }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value)
}

/** Through JSON, where -0 is 0 and half a letter is what JSON.parse makes of it. */
const asSent = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T

t.test('what comes out means the client’s options, and the defaults on which they are silent', async (t) => {
  const property = fc.property(
    fc.tuple(nestedBodies, spaces, placesOf, modelNames, defaultsOf),
    ([{ fields }, space, places, model, defaults]) => {
      const text = write(fields, space)
      const sent = JSON.parse(spliceAt(text, places, model, defaults)) as Defaults
      assert.deepEqual(sent, meant(JSON.parse(text) as Defaults, places, asSent(model), asSent(defaults)))
    },
  )
  holds(t, 'nested meaning', property, 4000)
})

t.test('every kind of options, one by one', async (t) => {
  const kinds: Record<string, string> = {
    '{"model":"x"}': '{"options":{"seed":1},"model":"x"}',
    '{"model":"x","options":{}}': '{"model":"x","options":{"seed":1}}',
    '{"model":"x","options":{ }}': '{"model":"x","options":{"seed":1 }}',
    '{"model":"x","options":{"num_ctx":1e400}}': '{"model":"x","options":{"seed":1,"num_ctx":1e400}}',
    '{"model":"x","options":null}': '{"model":"x","options":{"seed":1}}',
    '{"model":"x","options":{"seed":null}}': '{"model":"x","options":{"seed":null}}',
    '{"model":"x","options":[]}': '{"model":"x","options":[]}',
    '{"model":"x","options":"{}"}': '{"model":"x","options":"{}"}',
    '{"options":{"seed":2},"model":"x","options":{}}': '{"options":{"seed":2},"model":"x","options":{"seed":1}}',
    '{"model":"x","options":{"options":{"seed":2}}}': '{"model":"x","options":{"seed":1,"options":{"seed":2}}}',
    '{"model":"x","seed":2}': '{"options":{"seed":1},"model":"x","seed":2}',
  }
  for (const [text, expected] of Object.entries(kinds)) {
    t.equal(spliceAt(text, { within: 'options' }, 'x', { seed: 1 }), expected, text)
  }
})

t.test('without defaults options are nobody’s business', async (t) => {
  for (const value of ['{}', 'null', '7', '{"seed":1}']) {
    const text = `{"model":"x","options":${value}}`
    t.equal(spliceAt(text, { within: 'options' }, 'x', {}), text)
  }
  t.equal(spliceAt('{"model":"x"}', { within: 'options' }, 'x', {}), '{"model":"x"}')
})

t.test('another field for the model’s name leaves one called model alone', async (t) => {
  t.equal(spliceAt('{"model":"","name":"*"}', { modelField: 'name' }, 'x', {}), '{"model":"","name":"x"}')
  t.equal(spliceAt('{"model":""}', { modelField: 'name' }, 'x', {}), '{"name":"x","model":""}')
})

t.test('options that can’t be read are refused before anybody is asked to serve', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`k${index}`, index]))
  const bytes = Buffer.from(JSON.stringify({ options: many }))
  t.throws(() => lookWithin(bytes, scanObject(bytes), 'options'), { code: 'PTL_INVALID_JSON', statusCode: 400 })
})
