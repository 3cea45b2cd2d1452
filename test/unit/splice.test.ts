import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { scanObject } from '../../plugins/ollama-proxy/json-scan.ts'
import { spliceBody } from '../../plugins/ollama-proxy/splice.ts'
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
    key: fc.constantFrom('model', 'mod\\u0065l', '\\u006dodel'),
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
