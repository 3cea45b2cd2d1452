import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  type Aliases,
  findCircle,
  followAlias,
  NO_ALIASES,
  readAliases,
  showAliases,
  unusableAliases,
} from '../../schemas/aliases.ts'
import { LIMITS } from '../../schemas/limits.ts'
import { RoomPatch } from '../../schemas/room.ts'
import { compileValidator } from '../../schemas/validation.ts'
import { holds } from '../support/property.ts'

type Given = Record<string, string | string[]>

const validate = compileValidator({ schema: RoomPatch, httpPart: 'body' })

/** What a host is told of these aliases; undefined where they are taken. */
function sentence(aliases: unknown): string | undefined {
  const result = validate({ aliases })
  return 'error' in result ? result.error.message : unusableAliases(readAliases(aliases as Given | null))
}

function circleOf(aliases: Given): string[] | undefined {
  return findCircle(readAliases(aliases))
}

const never = () => false
const follow = (name: string, aliases: Given, isOnOffer: (name: string) => boolean = never) =>
  followAlias(name, readAliases(aliases), isOnOffer)

t.test('a name is short for a list of one, and each model counts once', async (t) => {
  t.strictSame(
    [...readAliases({ a: 'x', b: ['x', 'y', 'x'] })],
    [
      ['a', ['x']],
      ['b', ['x', 'y']],
    ],
  )
  t.strictSame(showAliases(readAliases({ a: 'x', b: ['x', 'y', 'x'] })), { a: ['x'], b: ['x', 'y'] })
})

t.test('none and null are the same', async (t) => {
  for (const none of [null, {}]) {
    t.equal(sentence(none), undefined)
    t.equal(readAliases(none).size, 0)
  }
})

t.test('names that every object has are as good as others', async (t) => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const aliases = readAliases(JSON.parse(JSON.stringify(Object.fromEntries(names.map((name) => [name, ['x']])))))
  t.strictSame([...aliases.keys()], names)
  t.equal(unusableAliases(aliases), undefined)
  t.strictSame(Object.keys(showAliases(aliases)), names)
  t.strictSame(Object.getPrototypeOf(showAliases(aliases)), Object.prototype)
  for (const name of names) t.strictSame(followAlias(name, NO_ALIASES, never), [name])
})

t.test('what is no object of names and models is refused by its field', async (t) => {
  const whole = "aliases must be an object of at most 100 names, each with a model's name or a list of 1 to 16"
  for (const aliases of ['x', 12, true, ['x'], []]) t.equal(sentence(aliases), whole, JSON.stringify(aliases))
  const chain =
    "must be a model's name or a list of 1 to 16, each a text of 1 to 200 characters without control characters"
  const wrong = [null, 12, '', ' ', 'a\nb', 'x'.repeat(201), [], [''], ['x', null], [['x']], {}, Array(17).fill('x')]
  for (const models of wrong)
    t.equal(sentence({ fine: 'x', 'gpt-4o': models }), `aliases.gpt-4o ${chain}`, JSON.stringify(models).slice(0, 40))
})

t.test('an alias is named as a model is', async (t) => {
  const refusal = 'aliases must have names that are each a text of 1 to 200 characters without control characters'
  for (const name of ['', ' ', 'a\nb', '\u0000', '\u202E', 'x'.repeat(LIMITS.model + 1)])
    t.equal(sentence({ [name]: 'x' }), refusal, JSON.stringify(name.slice(0, 9)).replaceAll(/[^ -~]/g, '?'))
  for (const name of ['x', 'x'.repeat(LIMITS.model), 'hf.co/a/b:Q4_K_M', 'modèle ☕', '"\\', '%s', '123'])
    t.equal(sentence({ [name]: 'y' }), undefined, name.slice(0, 20))
})

t.test('a value behind a name with a line end in it is looked at, too', async (t) => {
  t.match(sentence({ 'a\nb': 12 }), /^aliases\.a\?b must be/)
})

t.test('what has a meaning of its own is neither an alias nor the end of one', async (t) => {
  for (const name of ['*', 'any', 'model:', 'model:x']) {
    const refusal = `aliases must neither be named ${name} nor lead to it: it has a meaning of its own in requests`
    t.equal(sentence({ [name]: 'x' }), refusal)
    t.equal(sentence({ x: ['y', name] }), refusal)
  }
  for (const name of ['ANY', '**', 'models:x', ':latest']) t.equal(sentence({ [name]: 'x', y: name }), undefined, name)
})

t.test('as many as are allowed, and no more', async (t) => {
  const some = (count: number, models: string[]): Given =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`alias-${index}`, models]))
  const models = Array.from({ length: LIMITS.aliasModels }, (_, index) => `m${index}`)
  t.equal(sentence(some(LIMITS.aliases, models)), undefined)
  t.match(sentence(some(LIMITS.aliases + 1, ['x'])), /^aliases must be an object of at most 100 names/)
  t.match(sentence({ x: [...models, 'one more'] }), /^aliases\.x must be/)
})

t.test('all names together are bounded', async (t) => {
  const long = 'x'.repeat(199)
  const full = Object.fromEntries(Array.from({ length: 82 }, (_, index) => [String(index).padStart(3, '0'), long]))
  t.equal(82 * 202 + 20 - 200, LIMITS.aliasesCharacters)
  const rest = LIMITS.aliasesCharacters - 81 * 202
  const exact = { ...Object.fromEntries(Object.entries(full).slice(1)), y: 'x'.repeat(rest - 1) }
  t.equal(sentence(exact), undefined)
  t.equal(sentence({ ...exact, y: 'x'.repeat(rest) }), 'aliases must be at most 16384 characters together')
})

t.test('a circle is refused, and named', async (t) => {
  const refused = (path: string) => `aliases must not lead in a circle: ${path}`
  t.equal(sentence({ a: 'a' }), refused('a → a'))
  t.equal(sentence({ llama3: ['qwen3', 'llama3'] }), refused('llama3 → llama3'))
  t.equal(sentence({ a: 'b', b: ['x', 'a'] }), refused('a → b → a'))
  t.equal(sentence({ a: 'b', b: 'c', c: 'd', d: 'e', e: 'a' }), refused('a → b → c → d → e → a'))
  t.equal(sentence({ in: 'a', a: 'b', b: 'a' }), refused('a → b → a'), 'without the way to it')
})

t.test('of a long circle the beginning is named', async (t) => {
  const names = Array.from({ length: LIMITS.aliases }, (_, index) => `n${index}`)
  const circle = Object.fromEntries(names.map((name, index) => [name, names[(index + 1) % names.length] as string]))
  t.equal(sentence(circle), 'aliases must not lead in a circle: n0 → n1 → n2 → n3 → n4 → n5 → … → n0')
  const { n99: _, ...chain } = circle
  t.equal(sentence(chain), undefined, 'and open at one place it is none')
})

t.test('what only looks like a circle is none', async (t) => {
  t.equal(circleOf({ a: ['b', 'c'], b: 'd', c: 'd' }), undefined, 'a diamond')
  t.equal(circleOf({ a: 'b', c: 'b', b: 'x' }), undefined, 'two ways to one')
  t.equal(circleOf({ a: ['b', 'x'], b: 'x' }), undefined, 'a way and its short cut')
  t.equal(circleOf({ a: 'A', A: 'b' }), undefined, 'another case is another name')
  t.equal(circleOf({ a: 'a:latest', 'a:latest': 'b' }), undefined, 'another tag is another alias')
  t.equal(circleOf({ a: 'x', b: 'a:latest' }), undefined)
})

t.test('many ways to the same names take no longer than one', async (t) => {
  // Each level doubles the number of paths: walked one by one they would never end.
  const ladder = Object.fromEntries(
    Array.from({ length: 50 }, (_, level) =>
      ['a', 'b'].map((side) => [`${side}${level}`, [`a${level + 1}`, `b${level + 1}`]]),
    ).flat(),
  ) as Given
  t.equal(circleOf(ladder), undefined)
  t.equal(follow('a0', ladder).length, 101)
})

t.test('an alias is followed in place, each name once', async (t) => {
  t.strictSame(follow('x', {}), ['x'])
  t.strictSame(follow('a', { a: ['x', 'y'] }), ['a', 'x', 'y'])
  t.strictSame(follow('a', { a: ['b', 'y'], b: ['x', 'z'] }), ['a', 'b', 'x', 'z', 'y'])
  t.strictSame(follow('a', { a: ['b', 'c'], b: ['d'], c: ['d', 'e'] }), ['a', 'b', 'd', 'c', 'e'])
  t.strictSame(follow('a', { a: ['y', 'b'], b: ['x', 'y'] }), ['a', 'y', 'b', 'x'])
})

t.test('an alias that is the name of a model on offer is followed no further', async (t) => {
  const aliases = { a: ['b', 'c'], b: ['x'], c: ['y'] }
  t.strictSame(
    follow('a', aliases, (name) => name === 'b'),
    ['a', 'b', 'c', 'y'],
  )
  t.strictSame(
    follow('a', aliases, (name) => name === 'a'),
    ['a'],
  )
})

t.test('a chain of any length is followed to its end', async (t) => {
  const chain = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`n${index}`, `n${index + 1}`]))
  t.equal(follow('n0', chain).at(-1), 'n50000')
})

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'x', 'y']
const name = fc.constantFrom(...NAMES)
/** Circles included. */
const anyAliases: fc.Arbitrary<Aliases> = fc
  .dictionary(name, fc.uniqueArray(name, { minLength: 1, maxLength: 5 }))
  .map(readAliases)

/** The definition: the name, then what each of its models leads to, without what was there before. */
function defined(name: string, aliases: Aliases, before: Set<string> = new Set()): Set<string> {
  if (before.has(name)) return before
  before.add(name)
  for (const next of aliases.get(name) ?? []) defined(next, aliases, before)
  return before
}

t.test('following an alias ends, with each name once, in the order of preference', async (t) => {
  const property = fc.property(name, anyAliases, (start, aliases) => {
    const followed = followAlias(start, aliases, never)
    assert.equal(new Set(followed).size, followed.length)
    assert.deepEqual(followed, [...defined(start, aliases)])
  })
  holds(t, 'followed as it is defined', property, 2000)
})

t.test('what a chain has no detours for keeps its order', async (t) => {
  const property = fc.property(name, anyAliases, (start, aliases) => {
    const models = (aliases.get(start) ?? []).filter((model) => !aliases.has(model))
    const ways = (aliases.get(start) ?? []).filter((model) => aliases.has(model))
    fc.pre(ways.length === 0)
    assert.deepEqual(followAlias(start, aliases, never), [start, ...models])
  })
  holds(t, 'order kept', property, 1000)
})

/** Whether the names can be taken away one by one, always one that leads to nothing that is left: then there is no circle. */
function isFreeOfCircles(aliases: Aliases): boolean {
  const left = new Map(aliases)
  for (;;) {
    const end = [...left].find(([, models]) => !models.some((model) => left.has(model)))
    if (end === undefined) return left.size === 0
    left.delete(end[0])
  }
}

t.test('a circle is found where there is one, and only there', async (t) => {
  const property = fc.property(anyAliases, (aliases) => {
    const circle = findCircle(aliases)
    assert.equal(circle === undefined, isFreeOfCircles(aliases))
    if (circle === undefined) return
    assert.equal(circle[0], circle.at(-1))
    assert.equal(new Set(circle).size, circle.length - 1)
    for (const [index, next] of circle.slice(1).entries()) assert.ok(aliases.get(circle[index] ?? '')?.includes(next))
  })
  holds(t, 'circles', property, 2000)
})
