import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { lastNumberBehind, numberAt, objectsBehind } from '../../../plugins/ollama-proxy/protocols/json-tail.ts'
import { holds } from '../../support/property.ts'

const pieces = fc.constantFrom(
  '"usage":{"a":9}',
  '"usage":',
  '{',
  '}',
  '\\',
  '"',
  '\\"',
  '"eval_count":9',
  ',',
  ' ',
  'x',
  '\n',
)
const texts = fc.array(pieces, { maxLength: 30 }).map((list) => list.join(''))

t.test('what only stands in a string is never found, wherever the text begins', async (t) => {
  const property = fc.property(texts, fc.nat(60), (content, cut) => {
    const tail = JSON.stringify({ content }).slice(cut)
    assert.deepEqual(objectsBehind(tail, 'usage'), [])
    assert.equal(lastNumberBehind(tail, 'eval_count'), undefined)
  })
  holds(t, 'strings', property, 5000)
})

t.test('what stands beside such strings is found', async (t) => {
  const property = fc.property(texts, texts, fc.nat(1000), (before, after, count) => {
    const usage = { a: count, b: { c: count }, d: 'e' }
    const text = JSON.stringify({ before, usage, after, eval_count: count })
    assert.deepEqual(objectsBehind(text, 'usage'), [usage])
    assert.equal(lastNumberBehind(text, 'eval_count'), count)
  })
  holds(t, 'fields', property, 3000)
})

t.test('all are found in their order, of many the last ones', async (t) => {
  const all = Array.from({ length: 20 }, (_, n) => ({ n }))
  const text = all.map((usage) => `data: ${JSON.stringify({ usage })}\n\n`).join('')
  t.strictSame(objectsBehind(text, 'usage'), all.slice(-8))
})

t.test('spaces are no matter, and what is no whole object is none', async (t) => {
  t.strictSame(objectsBehind('"usage" :\n\t{ "a" : 1 }', 'usage'), [{ a: 1 }])
  for (const text of [
    '"usage":null',
    '"usage":[]',
    '"usage":{"a":1',
    '"usage":{a:1}',
    '"usage": "x"',
    `"usage":{"a":"${'x'.repeat(3000)}"}`,
  ]) {
    t.strictSame(objectsBehind(text, 'usage'), [], text.slice(0, 40))
  }
})

t.test('a count is a whole number that can count something', async (t) => {
  const object = { a: 7, b: 0, c: 6.6, d: -1, e: '7', f: null, g: 1e10, h: Number.NaN, i: Number.POSITIVE_INFINITY }
  const counts = Object.keys(object).map((key) => numberAt(object, key))
  t.strictSame(counts, [7, 0, 7, ...Array(6).fill(undefined)])
  t.equal(numberAt(object, 'z'), undefined)
})

t.test('of numbers the last counts', async (t) => {
  t.equal(lastNumberBehind('{"n":1}\n{"n" : 23}\n', 'n'), 23)
  for (const text of ['{"n":-1}', '{"n":"1"}', '{"n":12345678901}', '{"n":5000000000}', '{"nn":1}', '{"n":}']) {
    t.equal(lastNumberBehind(text, 'n'), undefined, text)
  }
})
