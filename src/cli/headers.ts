import { readFileSync } from 'node:fs'
import { Failure } from './exit-codes.ts'
import { oneLine } from './output.ts'

/** RFC 9110 §5.6.2 and §5.5: a token, and visible characters of one line. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/

/** They would change the framing or the target of requests, not whom they come from. */
const NOT_FOR_OWNERS = new Set([
  'connection',
  'content-length',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

type Headers = Record<string, string>

/**
 * Of POTLUCK_HEADERS and of each `--header`, which may be `@FILE`; what stands later wins.
 * @throws Failure that repeats no value: it may be a secret
 */
export function headersFrom(given: readonly string[], env = process.env): Headers {
  const ofEnvironment = headersIn(linesOf(env.POTLUCK_HEADERS ?? ''), 'POTLUCK_HEADERS')
  return Object.assign(ofEnvironment, ...given.map(headersOf))
}

function headersOf(text: string): Headers {
  if (!text.startsWith('@')) return headersIn([text], '--header')
  const file = text.slice(1)
  return headersIn(linesOf(contentOf(file)), `--header @${oneLine(file)}`)
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const { code = 'an error' } = error as NodeJS.ErrnoException
    throw new Failure('usage', `--header @${oneLine(file)} can't be read: ${code}`, { cause: error })
  }
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.trim() !== '')
}

function headersIn(lines: readonly string[], where: string): Headers {
  return Object.fromEntries(lines.map((line) => headerIn(line, where)))
}

function headerIn(line: string, where: string): [name: string, value: string] {
  const [, name, value] = HEADER.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Failure('usage', `${where}: a header is like "Name: value"`)
  if (NOT_FOR_OWNERS.has(name.toLowerCase())) throw new Failure('usage', `${where}: ${name} is not for you to set`)
  return [name.toLowerCase(), value.trim()]
}
