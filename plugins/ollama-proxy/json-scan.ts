import { InvalidJson } from '../../schemas/errors.ts'

/**
 * Where a value stands in the body: bytes `start` to `end`, `end` not included.
 */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface ScannedObject {
  /** The first byte behind `{`. */
  readonly open: number
  readonly isEmpty: boolean
  /** The values of the outermost object by their (unescaped) key; of a key that is there twice, the last. */
  readonly values: ReadonlyMap<string, Span>
  /** Keys that are there more than once. */
  readonly duplicates: ReadonlySet<string>
}

/** Deeper than any honest request; parsers behind the hub recurse, and may not come back from ten thousand levels. */
export const MAX_DEPTH = 512

/** Fields of the outermost object: no API knows as many, and each one that is remembered costs memory. */
export const MAX_FIELDS = 1000

/** Strings up to this long are walked byte by byte; beyond, a native search is faster than the call costs. */
const SHORT_STRING = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

const LITERALS: ReadonlyMap<number, string> = new Map(
  ['true', 'false', 'null'].map((text) => [text.charCodeAt(0), text]),
)

const NO_KEYS: ReadonlySet<string> = new Set()

/**
 * Reads where the keys and values of a JSON object stand, without making anything of them: the body goes on as the client
 * wrote it. The structure is checked (RFC 8259), what is inside strings is not.
 * @throws PTL_INVALID_JSON
 */
export function scanObject(bytes: Buffer): ScannedObject {
  const values = new Map<string, Span>()
  let duplicates: Set<string> | undefined
  let at = behindSpace(bytes, 0)
  if (bytes[at] !== OPEN_OBJECT) throw new InvalidJson('it must be an object')
  const open = at + 1
  at = behindSpace(bytes, open)
  const isEmpty = bytes[at] === CLOSE_OBJECT
  while (!isEmpty) {
    const keyEnd = behindKey(bytes, at)
    const key = keyOf(bytes, at, keyEnd)
    const start = behindColon(bytes, keyEnd)
    const end = behindValue(bytes, start)
    if (values.has(key)) duplicates = (duplicates ?? new Set()).add(key)
    else if (values.size >= MAX_FIELDS) throw new InvalidJson(`it has more than ${MAX_FIELDS} fields`)
    values.set(key, { start, end })
    at = behindSpace(bytes, end)
    if (bytes[at] !== COMMA) break
    at = behindSpace(bytes, at + 1)
  }
  if (bytes[at] !== CLOSE_OBJECT) fail(bytes, at)
  at = behindSpace(bytes, at + 1)
  if (at < bytes.length) fail(bytes, at)
  return { open, isEmpty, values, duplicates: duplicates ?? NO_KEYS }
}

/** One value, however deep, without recursion. */
function behindValue(bytes: Buffer, start: number): number {
  let at = start
  /** The containers around the place, as their closing bytes; made for the first of them. */
  let closers: number[] | undefined
  for (;;) {
    const byte = bytes[at]
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      const closer = byte === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST
      closers ??= []
      // The outermost object counts too.
      if (closers.length + 1 >= MAX_DEPTH) throw new InvalidJson(`it is nested deeper than ${MAX_DEPTH} levels`)
      at = behindSpace(bytes, at + 1)
      if (bytes[at] !== closer) {
        closers.push(closer)
        if (closer === CLOSE_OBJECT) at = behindColon(bytes, behindKey(bytes, at))
        continue
      }
      at += 1
    } else {
      at = byte === QUOTE ? behindString(bytes, at) : behindScalar(bytes, at, byte)
    }
    if (closers === undefined) return at
    // Behind a value: the containers that it ends, or what comes next in the one that it is in.
    for (;;) {
      const closer = closers.at(-1)
      if (closer === undefined) return at
      at = behindSpace(bytes, at)
      if (bytes[at] === COMMA) {
        at = behindSpace(bytes, at + 1)
        if (closer === CLOSE_OBJECT) at = behindColon(bytes, behindKey(bytes, at))
        break
      }
      if (bytes[at] !== closer) fail(bytes, at)
      at += 1
      closers.pop()
    }
  }
}

function behindSpace(bytes: Buffer, start: number): number {
  let at = start
  let byte = bytes[at]
  while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
    at += 1
    byte = bytes[at]
  }
  return at
}

function behindKey(bytes: Buffer, start: number): number {
  if (bytes[start] !== QUOTE) fail(bytes, start)
  return behindString(bytes, start)
}

/** @returns where the value begins */
function behindColon(bytes: Buffer, keyEnd: number): number {
  const at = behindSpace(bytes, keyEnd)
  if (bytes[at] !== COLON) fail(bytes, at)
  return behindSpace(bytes, at + 1)
}

/** @param end behind the closing quote */
function keyOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start + 1, end - 1)
  if (!text.includes('\\')) return text
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as string
  } catch {
    return fail(bytes, end)
  }
}

/** Behind the closing quote. */
function behindString(bytes: Buffer, start: number): number {
  let at = start + 1
  for (let near = at + SHORT_STRING; at < near; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) {
      at += 1
      near = Math.max(near, at + SHORT_STRING)
    }
  }
  return farQuote(bytes, at) + 1
}

function farQuote(bytes: Buffer, from: number): number {
  let quote = bytes.indexOf(QUOTE, from)
  while (quote !== -1 && isEscaped(bytes, quote, from)) quote = nextQuote(bytes, quote + 1)
  if (quote === -1) throw new InvalidJson('it ends within a string')
  return quote
}

/** A literal or a number. */
function behindScalar(bytes: Buffer, start: number, byte: number | undefined): number {
  const literal = byte === undefined ? undefined : LITERALS.get(byte)
  if (literal === undefined) return behindNumber(bytes, start)
  for (let index = 1; index < literal.length; index++) {
    if (bytes[start + index] !== literal.charCodeAt(index)) fail(bytes, start)
  }
  return start + literal.length
}

/** RFC 8259 §6, byte by byte: a body may hold millions of them. */
function behindNumber(bytes: Buffer, start: number): number {
  let at = bytes[start] === 0x2d ? start + 1 : start
  at = bytes[at] === 0x30 ? at + 1 : behindDigits(bytes, at)
  if (bytes[at] === 0x2e) at = behindDigits(bytes, at + 1)
  if (bytes[at] !== 0x45 && bytes[at] !== 0x65) return at
  at += 1
  if (bytes[at] === 0x2b || bytes[at] === 0x2d) at += 1
  return behindDigits(bytes, at)
}

/** One or more. */
function behindDigits(bytes: Buffer, start: number): number {
  let at = start
  while ((bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at++
  if (at === start) fail(bytes, at)
  return at
}

function fail(bytes: Buffer, at: number): never {
  throw new InvalidJson(at >= bytes.length ? 'it ends too early' : `something unexpected stands at byte ${at}`)
}

/** Whether an odd number of backslashes stands before the quote; those before `from` belong to what was read already. */
function isEscaped(bytes: Buffer, quote: number, from: number): boolean {
  let at = quote - 1
  while (at >= from && bytes[at] === BACKSLASH) at--
  return (quote - 1 - at) % 2 === 1
}

/** Text full of escaped quotes would pay a native call for each: look nearby first. */
function nextQuote(bytes: Buffer, from: number): number {
  const near = Math.min(from + SHORT_STRING, bytes.length)
  for (let at = from; at < near; at++) if (bytes[at] === QUOTE) return at
  return bytes.indexOf(QUOTE, near)
}
