/**
 * The objects that stand behind `"<key>":` in a piece of text that may begin in the midst of a document. Something like it
 * inside a string is escaped there (`\"usage\":`), so it is not found.
 */
export function objectsBehind(tail: string, key: string): Record<string, unknown>[] {
  const found: Record<string, unknown>[] = []
  const pattern = new RegExp(`(?<!\\\\)"${key}"\\s*:\\s*(?=\\{)`, 'g')
  for (const match of [...tail.matchAll(pattern)].slice(-MAX_OBJECTS)) {
    const object = parseObject(tail, match.index + match[0].length)
    if (object !== undefined) found.push(object)
  }
  return found
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

/** Usage objects hold numbers and short names, no braces in strings. */
function closingBrace(text: string, start: number): number | undefined {
  let depth = 0
  const limit = Math.min(text.length, start + MAX_OBJECT_CHARS)
  for (let at = start; at < limit; at++) {
    if (text[at] === '{') depth += 1
    else if (text[at] === '}') depth -= 1
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
