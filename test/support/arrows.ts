import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

/** One import of one file. */
export interface Arrow {
  /** Paths from the root, with `/`. */
  from: string
  /** A path from the root where it is a file of ours, else as it is written. */
  to: string
  isOurs: boolean
  /** `import type` and `export type`: gone at run time. */
  isType: boolean
}

/** The folders that are ours, from top to bottom. */
export const LAYERS = ['dashboard', 'src', 'routes', 'plugins', 'schemas'] as const

const IGNORED = /(^|\/)(node_modules|dist|coverage)\//

/** All imports of all sources below these folders. */
export function readArrows(root: string, folders: readonly string[] = LAYERS): Arrow[] {
  const files = folders.filter((folder) => existsSync(join(root, folder))).flatMap((folder) => sourcesIn(root, folder))
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    return importsOf(text).map((found) => arrowOf(root, file, found))
  })
}

function sourcesIn(root: string, folder: string): string[] {
  return globSync(`${folder}/**/*.{ts,tsx,mts,cts,js,jsx,mjs,cjs}`, { cwd: root })
    .map((file) => file.split(sep).join('/'))
    .filter((file) => !IGNORED.test(file))
    .sort()
}

export interface Import {
  specifier: string
  isType: boolean
}

/** Strings and templates are matched too, so that what looks like a comment within them is left alone. */
const COMMENT_OR_TEXT = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g

const NAMES = `(?:[\\w$\\s{},*]|'[^'\\n]*'|"[^"\\n]*")*?`
const TEXT = `(?:'([^'\\n]+)'|"([^"\\n]+)"|\`([^\`$]+)\`)`

/** `import a, { b } from 'c'`, `import type { … } from`, `export { … } from`, `export * from`, over several lines or none. */
const FROM = new RegExp(
  `(?<![\\w$.])(?:import|export)(\\s+type(?=[\\s{*])(?!\\s+from\\b))?(?=[\\s{*])${NAMES}[\\s}*]from\\s*${TEXT}`,
  'g',
)
const SIDE_EFFECT = new RegExp(`(?<![\\w$.])import\\s*${TEXT}`, 'g')
const CALL = new RegExp(`(?<![\\w$.])(?:import|require|require\\.resolve)\\s*\\(\\s*(?:${TEXT}\\s*[,)])?`, 'g')

/** A call whose argument is no plain text may import anything. */
export const UNREADABLE = '(not a plain text)'

/** Every import of a source. What only looks like one, in a template, is reported too: rather too much than too little. */
export function importsOf(source: string): Import[] {
  const text = source.replace(COMMENT_OR_TEXT, (found) => (/^\/[/*]/.test(found) ? ' ' : found))
  const found = [...text.matchAll(FROM)].map((match) => ({
    specifier: (match[2] ?? match[3] ?? match[4]) as string,
    isType: match[1] !== undefined,
  }))
  const others = [...text.matchAll(SIDE_EFFECT), ...text.matchAll(CALL)]
  return [
    ...found,
    ...others.map((match) => ({ specifier: match[1] ?? match[2] ?? match[3] ?? UNREADABLE, isType: false })),
  ]
}

function arrowOf(root: string, from: string, { specifier, isType }: Import): Arrow {
  if (specifier === 'potluck-hub' || specifier.startsWith('potluck-hub/')) {
    return { from, to: 'src/hub.ts', isOurs: true, isType }
  }
  if (!/^(\.|\/|#|file:)/.test(specifier)) return { from, to: specifier, isOurs: specifier === UNREADABLE, isType }
  const path = relative(root, resolve(join(root, dirname(from)), specifier))
  return { from, to: path.split(sep).join('/'), isOurs: true, isType }
}

const FASTIFY = /^(fastify|fastify-plugin|@fastify\/.+)$/

/** Why an arrow is wrong, by the "House" section of the design; undefined where it is right. */
export function faultOf(arrow: Arrow): string | undefined {
  const { from, to, isOurs } = arrow
  if (isInnerFile(from) && FASTIFY.test(to)) return 'a plugin’s inner files know no Fastify'
  if (!isOurs) return undefined
  if (to === UNREADABLE) return 'nobody can tell what this imports'
  const target = layerOf(to)
  if (target === undefined) return 'sources import from src, routes, plugins and schemas only'
  return ownRuleOf(arrow, target)
}

/** Every wrong arrow below the root, with the reason. */
export function findWrongArrows(root: string): string[] {
  const faults = readArrows(root).map((arrow) => ({ ...arrow, fault: faultOf(arrow) }))
  return faults.filter(({ fault }) => fault !== undefined).map(({ from, to, fault }) => `${from} → ${to}: ${fault}`)
}

type Layer = (typeof LAYERS)[number]

function layerOf(path: string): Layer | undefined {
  return LAYERS.find((layer) => path.startsWith(`${layer}/`))
}

function ownRuleOf(arrow: Arrow, target: Layer): string | undefined {
  const side = ['src/agent', 'src/client'].find((folder) => arrow.from.startsWith(`${folder}/`))
  if (side !== undefined) return sideFault(arrow, side)
  const rules: Record<Layer, (arrow: Arrow, target: Layer) => string | undefined> = {
    dashboard: dashboardFault,
    src: () => (target === 'dashboard' ? 'arrows only go down' : undefined),
    routes: routeFault,
    plugins: pluginFault,
    schemas: () => (target === 'schemas' ? undefined : 'schemas import nothing of ours but schemas'),
  }
  return rules[layerOf(arrow.from) as Layer](arrow, target)
}

function sideFault({ to }: Arrow, side: string): string | undefined {
  return to.startsWith('schemas/') || to.startsWith(`${side}/`) ? undefined : `${side} imports schemas only`
}

function dashboardFault({ to }: Arrow, target: Layer): string | undefined {
  const isRight = target === 'dashboard' || target === 'schemas' || to.startsWith('src/client/')
  return isRight ? undefined : 'the dashboard imports src/client and schemas only'
}

function routeFault({ isType }: Arrow, target: Layer): string | undefined {
  if (target === 'src' || target === 'dashboard') return 'arrows only go down'
  return target === 'plugins' && !isType
    ? 'routes take plugins from their decorators, and import types only'
    : undefined
}

function pluginFault({ from, to, isType }: Arrow, target: Layer): string | undefined {
  if (target !== 'plugins') return target === 'schemas' ? undefined : 'arrows only go down'
  return pluginOf(from) === pluginOf(to) || isType ? undefined : 'a plugin reaches another through its decorator'
}

/** `plugins/event-bus/bus.ts` → `event-bus`. */
function pluginOf(path: string): string | undefined {
  return path.split('/')[1]
}

function isInnerFile(path: string): boolean {
  return path.startsWith('plugins/') && !/^plugins\/[^/]+\/index\.[mc]?[tj]s$/.test(path)
}
