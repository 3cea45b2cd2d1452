import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { findWrongArrows, type Import, importsOf, LAYERS, readArrows, UNREADABLE } from './support/arrows.ts'

const ROOT = join(import.meta.dirname, '..')

t.test('the sources have no wrong arrow', async (t) => {
  t.strictSame(findWrongArrows(ROOT), [])
})

t.test('every layer is looked at, and its imports are seen', async (t) => {
  const arrows = readArrows(ROOT)
  for (const layer of LAYERS.filter((layer) => layer !== 'dashboard')) {
    t.ok(arrows.filter(({ from, isOurs }) => isOurs && from.startsWith(`${layer}/`)).length > 5, layer)
  }
  const has = (from: string, to: string, isType: boolean) =>
    arrows.some((arrow) => arrow.from === from && arrow.to === to && arrow.isType === isType)
  t.ok(has('src/app.ts', 'plugins/event-bus/index.ts', false))
  t.ok(has('plugins/room-store/announce.ts', 'plugins/event-bus/bus.ts', true))
  t.ok(has('plugins/event-bus/index.ts', 'fastify-plugin', false))
})

const file = (t: Test, files: Record<string, string>): string => {
  const root = t.testdir({})
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  return root
}

const GOOD: Record<string, string> = {
  'schemas/a.ts':
    "import { Type } from '@sinclair/typebox'\nimport createError from '@fastify/error'\nimport { b } from './b.ts'\n",
  'schemas/b.ts': "export * from './a.ts'\n",
  'plugins/one/index.ts':
    "import fp from 'fastify-plugin'\nimport type { Two } from '../two/two.ts'\nimport { One } from './one.ts'\n",
  'plugins/one/one.ts':
    "import { b } from '../../schemas/b.ts'\nimport type { Two } from '../two/two.ts'\nimport { readFile } from 'node:fs'\n",
  'plugins/one/deep/er.ts': "import { One } from '../one.ts'\nimport { Agent } from 'undici'\n",
  'plugins/two/index.ts':
    "import Fastify from 'fastify'\nimport cors from '@fastify/cors'\nexport { Two } from './two.ts'\n",
  'plugins/two/two.ts': '',
  'routes/x.ts':
    "import type { One } from '../plugins/one/one.ts'\nimport { b } from '../schemas/b.ts'\nimport y from './rooms/y.ts'\n",
  'routes/rooms/y.ts': "import type { FastifyInstance } from 'fastify'\n",
  'src/app.ts': "import one from '../plugins/one/index.ts'\nimport x from '../routes/x.ts'\nimport './agent/a.ts'\n",
  'src/agent/a.ts':
    "import { b } from '../../schemas/b.ts'\nimport { c } from './c.ts'\nimport Fastify from 'fastify'\n",
  'src/agent/c.ts': '',
  'src/client/c.ts': "import type { B } from '../../schemas/b.ts'\n",
  'dashboard/main.ts':
    "import { c } from '../src/client/c.ts'\nimport type { B } from '../schemas/b.ts'\nimport './style.css'\n",
}

t.test('a house without a wrong arrow passes', async (t) => {
  t.strictSame(findWrongArrows(file(t, GOOD)), [])
})

/** Each of these, planted into the good house, is one wrong arrow. */
const WRONG: [from: string, source: string, to: string][] = [
  ['schemas/x.ts', "import { One } from '../plugins/one/one.ts'", 'plugins/one/one.ts'],
  ['schemas/x.ts', "import type { One } from '../plugins/one/one.ts'", 'plugins/one/one.ts'],
  ['schemas/x.ts', "export { c } from '../src/client/c.ts'", 'src/client/c.ts'],
  ['plugins/one/x.ts', "import { Two } from '../two/two.ts'", 'plugins/two/two.ts'],
  ['plugins/one/x.ts', "import { type Two } from '../two/two.ts'", 'plugins/two/two.ts'],
  ['plugins/one/deep/x.ts', "export * from '../../two/two.ts'", 'plugins/two/two.ts'],
  ['plugins/one/x.ts', "const two = await import('../two/two.ts')", 'plugins/two/two.ts'],
  ['plugins/one/x.ts', "import fp from 'fastify-plugin'", 'fastify-plugin'],
  ['plugins/one/x.ts', "import type { FastifyInstance } from 'fastify'", 'fastify'],
  ['plugins/one/x.ts', "import createError from '@fastify/error'", '@fastify/error'],
  ['plugins/one/deep/index.ts', "import Fastify from 'fastify'", 'fastify'],
  ['plugins/one/x.ts', "import { x } from '../../routes/x.ts'", 'routes/x.ts'],
  ['plugins/one/x.ts', "import type { App } from '../../src/app.ts'", 'src/app.ts'],
  ['plugins/three/index.ts', "import { Two } from '../two/two.ts'", 'plugins/two/two.ts'],
  ['plugins/three/index.ts', "import '../two/index.ts'", 'plugins/two/index.ts'],
  ['routes/rooms/x.ts', "import { One } from '../../plugins/one/one.ts'", 'plugins/one/one.ts'],
  ['routes/rooms/x.ts', "import type { App } from '../../src/app.ts'", 'src/app.ts'],
  ['routes/rooms/x.ts', "import { createHub } from 'potluck-hub'", 'src/hub.ts'],
  ['src/agent/x.ts', "import type { One } from '../../plugins/one/one.ts'", 'plugins/one/one.ts'],
  ['src/agent/x.ts', "import { readConfig } from '../app.ts'", 'src/app.ts'],
  ['src/client/x.ts', "import { a } from '../agent/a.ts'", 'src/agent/a.ts'],
  ['src/x.ts', "import { t } from '../test/support/hub.ts'", 'test/support/hub.ts'],
  ['plugins/one/x.ts', "import type { T } from '../../test/support/hub.ts'", 'test/support/hub.ts'],
  ['routes/x2.ts', "import '../bench/run.ts'", 'bench/run.ts'],
  ['src/x.ts', "import { main } from '../dashboard/main.ts'", 'dashboard/main.ts'],
  ['dashboard/x.ts', "import { app } from '../src/app.ts'", 'src/app.ts'],
  ['dashboard/x.ts', "import { y } from '../routes/rooms/y.ts'", 'routes/rooms/y.ts'],
  ['src/x.ts', 'const any = await import(somewhere)', UNREADABLE],
  ['plugins/one/x.mjs', "const { Two } = require('../two/two.ts')", 'plugins/two/two.ts'],
]

for (const [from, source, to] of WRONG) {
  t.test(`in ${from} this is one wrong arrow: ${source}`, async (t) => {
    const found = findWrongArrows(file(t, { ...GOOD, [from]: `// A comment.\n${source}\n` }))
    t.equal(found.length, 1, found.join('\n'))
    t.ok(found[0]?.startsWith(`${from} → ${to}: `), found.join('\n'))
  })
}

/** What is read of a source, as `type x` for types. */
const read = (source: string) =>
  importsOf(source).map(({ specifier, isType }: Import) => `${isType ? 'type ' : ''}${specifier}`)

t.test('every form of an import is read', async (t) => {
  const forms: Record<string, string> = {
    "import a from 'x'": 'x',
    "import a, { b as c } from 'x'": 'x',
    "import * as a from 'x'": 'x',
    "import{a}from'x'": 'x',
    'import a from "x"': 'x',
    "import {\n  a, // why\n  type B,\n  /* c, */\n} from 'x'": 'x',
    "import 'x'": 'x',
    "import data from 'x' with { type: 'json' }": 'x',
    "import { 'a-b' as c } from 'x'": 'x',
    "import type A from 'x'": 'type x',
    "import type { A } from 'x'": 'type x',
    "import type * as A from 'x'": 'type x',
    "import type{A}from'x'": 'type x',
    "import type from 'x'": 'x',
    "export { a } from 'x'": 'x',
    "export * from 'x'": 'x',
    "export * as a from 'x'": 'x',
    "export type { A } from 'x'": 'type x',
    "export type * from 'x'": 'type x',
    "const a = await import('x')": 'x',
    "const a = import(\n  /* why */ 'x',\n)": 'x',
    'const a = import(`x`)': 'x',
    "const a = import('x', { with: { type: 'json' } })": 'x',
    'const a = import(b)': UNREADABLE,
    'const a = import(`x/\u0024{b}`)': UNREADABLE,
    "type A = import('x').A": 'x',
    "const a = require('x')": 'x',
    "const url = 'http://h'; import a from 'x'": 'x',
  }
  for (const [source, expected] of Object.entries(forms)) t.strictSame(read(source), [expected], source)
})

t.test('several imports are read one by one', async (t) => {
  const source =
    "import type { A } from 'a'\nimport {\n  b,\n} from 'b'\nexport const c = 'from'\nimport 'd'\nexport { e }\nimport f from 'f'\n"
  t.strictSame(read(source).sort(), ['b', 'd', 'f', 'type a'])
})

t.test('what is no import is not read as one', async (t) => {
  const others = [
    "// import a from 'x'",
    "/* import a from 'x'\n import('y') */",
    '/** @see import("x") */',
    'import.meta.dirname',
    "export const from = 'x'",
    "const a = { import: 'x' }",
    "a.import('x')",
    "export type A = 'x'",
    "reimport('x')",
  ]
  for (const source of others) t.strictSame(read(source), [], source)
})
