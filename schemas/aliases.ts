import { type ObjectOptions, type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { LIMITS } from './limits.ts'
import { isReservedName } from './models.ts'
import { ModelName } from './participant.ts'

/**
 * Names that lead to models, in order of preference, or to other such names. A map, since an object has names of its own
 * (`constructor`, `__proto__`) that no host gave it.
 */
export type Aliases = ReadonlyMap<string, readonly string[]>

export const NO_ALIASES: Aliases = new Map()

/** An object whose keys somebody chose. `Type.Record` would leave values unchecked where a key has a line end in it. */
function byName<T extends TSchema>(value: T, options: ObjectOptions) {
  return Type.Unsafe<Record<string, Static<T>>>(Type.Object({}, { ...options, additionalProperties: value }))
}

/** As everybody sees them. */
export const ShownAliases = byName(Type.Array(Type.String()), {
  description: 'Other names for models: each leads to models in order of preference',
  examples: [{ 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'] }],
})

const Chain = Type.Union([ModelName, Type.Array(ModelName, { minItems: 1, maxItems: LIMITS.aliasModels })], {
  'x-expects': `a model's name or a list of 1 to ${LIMITS.aliasModels}, each ${ModelName['x-expects']}`,
})

export const AliasesInput = byName(Chain, {
  maxProperties: LIMITS.aliases,
  description: 'Replaced as a whole. They need not be on offer, and may be aliases themselves, but not in a circle',
  'x-expects': `an object of at most ${LIMITS.aliases} names, each with a model's name or a list of 1 to ${LIMITS.aliasModels}`,
})

/** `"gpt-4o": "qwen3:32b"` is short for a list of one. */
export function readAliases(input: Static<typeof AliasesInput> | null): Aliases {
  const entries = Object.entries(input ?? {})
  return new Map(entries.map(([name, models]) => [name, typeof models === 'string' ? [models] : [...new Set(models)]]))
}

export function showAliases(aliases: Aliases): Static<typeof ShownAliases> {
  return Object.fromEntries(Array.from(aliases, ([name, models]) => [name, [...models]]))
}

/** @returns what is wrong with a room's aliases, as a sentence */
export function unusableAliases(aliases: Aliases): string | undefined {
  if (![...aliases.keys()].every((name) => Value.Check(ModelName, name)))
    return `aliases must have names that are each ${ModelName['x-expects']}`
  const names = [...aliases].flatMap(([name, models]) => [name, ...models])
  const reserved = names.find(isReservedName)
  if (reserved !== undefined)
    return `aliases must neither be named ${reserved} nor lead to it: it has a meaning of its own in requests`
  if (names.reduce((sum, { length }) => sum + length, 0) > LIMITS.aliasesCharacters)
    return `aliases must be at most ${LIMITS.aliasesCharacters} characters together`
  const circle = findCircle(aliases)
  return circle === undefined ? undefined : `aliases must not lead in a circle: ${pathOf(circle)}`
}

/** Of a long circle its beginning is enough to find it. */
const SHOWN_OF_CIRCLE = 6

function pathOf(circle: readonly string[]): string {
  const isLong = circle.length > SHOWN_OF_CIRCLE + 1
  const shown = isLong ? [...circle.slice(0, SHOWN_OF_CIRCLE), '…', ...circle.slice(-1)] : circle
  return shown.join(' → ')
}

/** @returns the names along it, the first one again at the end */
export function findCircle(aliases: Aliases): string[] | undefined {
  const harmless = new Set<string>()

  function walk(name: string, path: readonly string[]): string[] | undefined {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (harmless.has(name)) return undefined
    for (const next of aliases.get(name) ?? []) {
      const circle = walk(next, [...path, name])
      if (circle !== undefined) return circle
    }
    harmless.add(name)
    return undefined
  }

  for (const name of aliases.keys()) {
    const circle = walk(name, [])
    if (circle !== undefined) return circle
  }
  return undefined
}

/**
 * The name and all that it leads to, each once, in order of preference: what an alias leads to stands behind it, in front
 * of what follows it. A circle ends where it closes.
 * @param isOnOffer a model of that name goes before the alias, which then leads nowhere else
 */
export function followAlias(name: string, aliases: Aliases, isOnOffer: (name: string) => boolean): string[] {
  const followed = new Set<string>()
  const ahead = [name]
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (followed.has(next)) continue
    followed.add(next)
    const models = aliases.get(next)
    if (models !== undefined && !isOnOffer(next)) ahead.push(...models.toReversed())
  }
  return [...followed]
}
