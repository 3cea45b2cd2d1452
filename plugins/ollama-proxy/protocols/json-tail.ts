/**
 * The objects that stand behind `"<key>":` in a piece of text that may begin in the midst of a document. Something like it
 * inside a string is escaped there (`\"usage\":`), so it is not found.
 */
export function objectsBehind(tail: string, key: string): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = []
  for (const start of startsBehind(tail, `"${key}"`)) {
    const object = parseObject(tail, start)
    if (object !== undefined) found.push(object)
  }
  return found
}

/** Where the last objects begin, in their order. */
function startsBehind(tail: string, name: string): number[] {
  const starts: number[] = []
  let at = tail.lastIndexOf(name)
  while (at !== -1 && starts.length < MAX_OBJECTS) {
    const colon = behindSpace(tail, at + name.length)
    const start = behindSpace(tail, colon + 1)
    if (tail[colon] === ':' && tail[start] === '{' && tail[at - 1] !== '\\') starts.push(start)
    at = at === 0 ? -1 : tail.lastIndexOf(name, at - 1)
  }
  return starts.reverse()
}

function behindSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}

function parseObject(text: string, start: number): Record<string, unknown> | undefined {
  const end = closingBrace(text, start)
  if (end === undefined) return undefined
  try {
    return JSON.parse(text.slice(start, end)) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Nobody has more tokens than this; sums stay exact. */
const MAX_COUNT = 1_000_000_000

/** The last ones count; a hostile tail may hold a thousand. */
const MAX_OBJECTS = 8

/** Longer than any usage object; a hostile tail full of openings would be read again and again. */
const MAX_OBJECT_CHARS = 2000

const OPEN = 0x7b
const CLOSE = 0x7d

/** Usage objects hold numbers and short names, no braces in strings. */
function closingBrace(text: string, start: number): number | undefined {
  let depth = 0
  const limit = Math.min(text.length, start + MAX_OBJECT_CHARS)
  for (let at = start; at < limit; at++) {
    const letter = text.charCodeAt(at)
    if (letter === OPEN) depth += 1
    else if (letter === CLOSE) depth -= 1
    if (depth === 0) return at + 1
  }
  return undefined
}

/** @returns undefined where there is no such number, or one that can't count anything. */
export function numberAt(object: Record<string, unknown>, key: string): number | undefined {
  const value = object[key]
  return typeof value === 'number' && value >= 0 && value <= MAX_COUNT ? Math.round(value) : undefined
}

/** The number that stands last behind `"<key>":`, in whichever object. */
export function lastNumberBehind(tail: string, key: string): number | undefined {
  const matches = [...tail.matchAll(new RegExp(`(?<!\\\\)"${key}"\\s*:\\s*(\\d{1,10})(?!\\d)`, 'g'))]
  const count = Number(matches.at(-1)?.[1])
  return count >= 0 && count <= MAX_COUNT ? count : undefined
}
