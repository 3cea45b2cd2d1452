import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { MAX_DEPTH, type ScannedObject, scanObject } from '../../plugins/ollama-proxy/json-scan.ts'
import { holds } from '../support/property.ts'

const scan = (text: string) => scanObject(Buffer.from(text))

/** What a key stands for, through the scanner and JSON.parse. */
function readValue(text: string, scanned: ScannedObject, key: string): unknown {
  const span = scanned.values.get(key)
  assert.ok(span, `no value for ${JSON.stringify(key)}`)
  return JSON.parse(Buffer.from(text).toString('utf8', span.start, span.end))
}

/** The scanner agrees with JSON.parse on an object: the same keys, and spans that hold their values and nothing else. */
function assertAgrees(text: string): void {
  const parsed = JSON.parse(text) as Record<string, unknown>
  const scanned = scan(text)
  assert.deepEqual([...scanned.values.keys()].sort(), Object.keys(parsed).sort())
  for (const key of Object.keys(parsed)) assert.deepEqual(readValue(text, scanned, key), parsed[key])
  assert.equal(scanned.isEmpty, Object.keys(parsed).length === 0)
  assert.match(Buffer.from(text).toString('utf8', 0, scanned.open), /^\s*\{$/)
}

/** @returns the error's code, or undefined where the text is accepted; fails on anything else than a refusal. */
function refusalOf(bytes: Buffer): string | undefined {
  try {
    scanObject(bytes)
    return undefined
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'PTL_INVALID_JSON')
    assert.equal((error as { statusCode?: number }).statusCode, 400)
    return 'PTL_INVALID_JSON'
  }
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const asciiKey = fc.string({ unit: 'binary-ascii', maxLength: 100 })
const anyText = fc.string({ unit: 'binary', maxLength: 200 })

/** Objects of every depth and kind of value, with keys of ASCII. */
const objects = fc.object({
  key: asciiKey,
  maxDepth: 6,
  values: [anyText, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean(), fc.constant(null)],
  withNullPrototype: false,
})

const indents = fc.constantFrom<string | number>('', 1, 4, '\t', ' \t')

t.test('every object that JSON.parse reads is read, with the same keys and values', async (t) => {
  const property = fc.property(objects, indents, (object, indent) => {
    assertAgrees(JSON.stringify(object, null, indent))
  })
  holds(t, 'objects', property, 2000)
})

t.test('so is whatever is wrapped into an object', async (t) => {
  const property = fc.property(fc.json({ stringUnit: 'binary' }), asciiKey, (json, key) => {
    assertAgrees(` {\r\n${JSON.stringify(key)}\t:${json} } \n`)
  })
  holds(t, 'any JSON', property, 2000)
})

t.test('keys may be any text', async (t) => {
  const property = fc.property(fc.dictionary(anyText, fc.integer()), (object) => {
    assertAgrees(JSON.stringify(object))
  })
  holds(t, 'keys', property, 500)
})

/** Made of what could break the structure; nothing that is only wrong within a string. */
const STRUCTURAL = [...'{}[],:"0123456789-+.eE truefalsn']

/** Takes out, puts in or replaces one character. */
const mutations = fc.record({
  at: fc.nat(10_000),
  take: fc.integer({ min: 0, max: 1 }),
  put: fc.constantFrom('', '', ...STRUCTURAL),
})

function mutate(text: string, changes: readonly { at: number; take: number; put: string }[]): string {
  return changes.reduce((whole, { at, take, put }) => {
    const place = at % (whole.length + 1)
    return whole.slice(0, place) + put + whole.slice(place + take)
  }, text)
}

const plainObjects = fc.object({
  key: fc.string({ unit: fc.constantFrom('a', 'b', ':', ',', '{', '}', '[', ']') }),
  maxDepth: 3,
  values: [fc.string({ unit: fc.constantFrom('x', '{', '}', ',', ' ') }), fc.integer(), fc.double(), fc.boolean()],
})

t.test('a text whose structure is broken is accepted exactly where JSON.parse accepts it', async (t) => {
  const property = fc.property(plainObjects, fc.array(mutations, { minLength: 1, maxLength: 4 }), (object, changes) => {
    const text = mutate(JSON.stringify(object), changes)
    assert.equal(refusalOf(Buffer.from(text)) === undefined, isObject(text), text)
  })
  holds(t, 'mutations', property, 5000)
})

t.test('no bytes make it throw anything but a refusal, and what JSON.parse accepts it accepts', async (t) => {
  const bytes = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { maxLength: 6 })
  const property = fc.property(objects, bytes, fc.nat(10_000), (object, changes, cut) => {
    const whole = Buffer.from(JSON.stringify(object))
    for (const [at, byte] of changes) whole[at % whole.length] = byte
    const text = cut % 3 === 0 ? whole.subarray(0, cut % whole.length) : whole
    if (refusalOf(text) !== undefined) assert.ok(!isObject(text.toString('utf8')), text.toString('latin1'))
  })
  holds(t, 'bytes', property, 3000)
})

t.test('every beginning of an object is refused', async (t) => {
  const text = '{"a":[1,{"b":"c\\"\\\\"}],"d":-1.5e+3,"e":null,"f":true,"g":""}'
  assertAgrees(text)
  for (let length = 0; length < text.length; length++) {
    t.equal(refusalOf(Buffer.from(text.slice(0, length))), 'PTL_INVALID_JSON', text.slice(0, length))
  }
})

t.test('what is no object is refused', async (t) => {
  for (const text of [
    '',
    ' ',
    '[]',
    '[{}]',
    '"{}"',
    '1',
    'null',
    'true',
    '\uFEFF{}',
    '{}{}',
    '{} x',
    'data: {}',
    '\0',
  ]) {
    t.equal(refusalOf(Buffer.from(text)), 'PTL_INVALID_JSON', JSON.stringify(text))
  }
})

t.test('numbers and words are read as RFC 8259 has them', async (t) => {
  for (const value of [
    '0',
    '-0',
    '1.0',
    '1e400',
    '-1E-400',
    '0.1e+1',
    '12345678901234567890',
    'true',
    'false',
    'null',
  ]) {
    const scanned = scan(`{"a":${value}}`)
    t.strictSame(scanned.values.get('a'), { start: 5, end: 5 + value.length }, value)
  }
  for (const value of [
    '01',
    '-',
    '+1',
    '.5',
    '1.',
    '1e',
    '1e+',
    '0x1',
    '--1',
    'NaN',
    'Infinity',
    'tru',
    'nul',
    'TRUE',
    "'a'",
    'undefined',
  ]) {
    t.equal(refusalOf(Buffer.from(`{"a":${value}}`)), 'PTL_INVALID_JSON', value)
  }
})

t.test('only the outermost keys count, whatever stands deeper or in strings', async (t) => {
  const text =
    '{"messages":[{"model":"decoy","content":"{\\"model\\":\\"decoy\\"}"}],"x":{"model":["decoy"]},"model":"real","y":"\\",\\"model\\":1"}'
  const scanned = scan(text)
  t.strictSame([...scanned.values.keys()], ['messages', 'x', 'model', 'y'])
  t.equal(readValue(text, scanned, 'model'), 'real')
  t.equal(scanned.duplicates.size, 0)
})

t.test('of a key that is there twice the last value counts, and it is told', async (t) => {
  const text = '{"a":1,"b":2,"a":{"b":3},"c":4,"b":[5],"a":6}'
  const scanned = scan(text)
  t.strictSame([...scanned.duplicates].sort(), ['a', 'b'])
  t.equal(readValue(text, scanned, 'a'), 6)
  t.strictSame(readValue(text, scanned, 'b'), [5])
})

t.test('a key is the same however it is written', async (t) => {
  const text = '{"model":1,"mod\\u0065l":2,"\\u006D\\u006f\\u0064\\u0065\\u006c":3}'
  const scanned = scan(text)
  t.strictSame([...scanned.values.keys()], ['model'])
  t.strictSame([...scanned.duplicates], ['model'])
  t.equal(readValue(text, scanned, 'model'), 3)
})

t.test('so is a key beyond ASCII, and no other one is taken for it', async (t) => {
  const twice = scan('{"é":1,"\\u00e9":2}')
  t.strictSame([...twice.values.keys()], ['é'])
  t.strictSame([...twice.duplicates], ['é'])
  const different = scan('{"é":1,"\\u00c3\\u00a9":2}')
  t.strictSame([...different.values.keys()], ['é', 'Ã©'])
  t.equal(different.duplicates.size, 0)
})

t.test('keys that mean something to JavaScript are keys like others', async (t) => {
  const scanned = scan('{"__proto__":1,"constructor":2,"":3}')
  t.strictSame([...scanned.values.keys()], ['__proto__', 'constructor', ''])
})

const nested = (depth: number, innermost: string) =>
  `{"a":${'['.repeat(depth - 1)}${innermost}${']'.repeat(depth - 1)}}`
const objectsDeep = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

t.test('as deep as the limit is fine, one deeper is refused', async (t) => {
  assertAgrees(nested(MAX_DEPTH, '1'))
  assertAgrees(objectsDeep(MAX_DEPTH))
  t.equal(refusalOf(Buffer.from(nested(MAX_DEPTH + 1, '1'))), 'PTL_INVALID_JSON')
  t.equal(refusalOf(Buffer.from(objectsDeep(MAX_DEPTH + 1))), 'PTL_INVALID_JSON')
})

t.test('one deeper is refused also where nothing is in it', async (t) => {
  assertAgrees(nested(MAX_DEPTH, ''))
  t.equal(refusalOf(Buffer.from(nested(MAX_DEPTH + 1, ''))), 'PTL_INVALID_JSON')
})

t.test('ten thousand levels are refused, and cost no stack', async (t) => {
  for (const text of [nested(10_000, '1'), objectsDeep(10_000), `{"a":${'['.repeat(1_000_000)}`]) {
    t.equal(refusalOf(Buffer.from(text)), 'PTL_INVALID_JSON')
  }
})

t.test('wide is not deep', async (t) => {
  t.doesNotThrow(() => assertAgrees(`{"a":[${Array(5000).fill('{"b":[[]]}').join(',')}]}`))
})

// Short strings are walked byte by byte, long ones searched: the border between the two is at 64 bytes.
t.test('strings of every length around the border end where they end', async (t) => {
  for (let length = 0; length <= 200; length++) {
    for (const tail of ['', '\\"', '\\\\', '\\\\\\"', '\\n', 'é', '\\u00e9', '\\\\\\\\']) {
      const text = `{"a":"${'x'.repeat(length)}${tail}","b":"${'\\"'.repeat(length % 70)}${tail}","c":1}`
      assertAgrees(text)
    }
  }
  t.pass('1608 texts')
})

t.test('escapes at every place of a long string are escapes', async (t) => {
  const pieces = fc.array(
    fc.constantFrom('x', '\\"', '\\\\', '\\n', '{', '}', ',', ':', 'é', 'x'.repeat(63), '\\u0022'),
    {
      maxLength: 150,
    },
  )
  const property = fc.property(pieces, pieces, (key, value) => {
    // A text that is escaped already; \u00e9 in a key has a test of its own.
    const name = key.filter((piece) => piece !== 'é').join('')
    assertAgrees(`{"${name}":"${value.join('')}","z":["${value.join('')}"]}`)
  })
  holds(t, 'escapes', property, 1000)
})

t.test('a string of a million escapes is read in one go', async (t) => {
  for (const piece of ['\\"', '\\\\', '\\\\\\"']) {
    const text = `{"a":"${piece.repeat(1_000_000)}","b":1}`
    t.equal(readValue(text, scan(text), 'b'), 1, piece)
    t.equal(refusalOf(Buffer.from(`{"a":"${piece.repeat(1_000_000)}`)), 'PTL_INVALID_JSON')
  }
})
