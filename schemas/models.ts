import { LIMITS } from './limits.ts'

export const IMPLIED_TAG = ':latest'

/** Ollama's rule: a name without a tag means `:latest`. */
export function withoutImpliedTag(name: string): string {
  return name.endsWith(IMPLIED_TAG) ? name.slice(0, -IMPLIED_TAG.length) : name
}

/** A name, and the other one that means the same by that rule. */
export function spellingsOf(name: string): string[] {
  const bareName = withoutImpliedTag(name)
  if (bareName === name) return [name, `${name}${IMPLIED_TAG}`]
  return withoutImpliedTag(bareName) === bareName ? [name, bareName] : [name]
}

const ANY_NAMES = new Set(['', '*', 'any'])
export const MODEL_PREFIX = 'model:'

/** `*`, `any` and nothing: a request for whoever is free. */
export function meansAny(name: string): boolean {
  return ANY_NAMES.has(name)
}

export function isReservedName(name: string): boolean {
  return meansAny(name) || name.startsWith(MODEL_PREFIX)
}

/** @returns what is wrong with a participant's models, as a sentence */
export function unusableModels(models: readonly string[]): string | undefined {
  const reserved = models.find(isReservedName)
  if (reserved !== undefined) return `models must not be named ${reserved}: it has a meaning of its own in requests`
  if (models.length > LIMITS.models) return `models must be at most ${LIMITS.models}, \`model\` included`
  const characters = models.reduce((sum, { length }) => sum + length, 0)
  return characters > LIMITS.modelsCharacters
    ? `models must be at most ${LIMITS.modelsCharacters} characters together`
    : undefined
}
