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

const LITERALS: ReadonlyMap<number, Buffer> = new Map(
  ['true', 'false', 'null'].map((text) => [text.charCodeAt(0), Buffer.from(text)]),
)

/**
 * Reads where the keys and values of a JSON object stand, without making anything of them: the body goes on as the client
 * wrote it. The structure is checked (RFC 8259), what is inside strings is not.
 * @throws PTL_INVALID_JSON
 */
export function scanObject(bytes: Buffer): ScannedObject {
  return new Scanner(bytes).scan()
}

class Scanner {
  readonly #bytes: Buffer
  /** The containers around the place, as their closing bytes. */
  readonly #closers: number[] = []
  readonly #values = new Map<string, Span>()
  readonly #duplicates = new Set<string>()
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  scan(): ScannedObject {
    this.#skipSpace()
    if (this.#bytes[this.#at] !== OPEN_OBJECT) throw new InvalidJson('it must be an object')
    const open = this.#at + 1
    this.#at = open
    this.#skipSpace()
    const isEmpty = this.#bytes[this.#at] === CLOSE_OBJECT
    if (isEmpty) this.#at += 1
    else this.#outermost()
    this.#skipSpace()
    if (this.#at < this.#bytes.length) this.#fail()
    return { open, isEmpty, values: this.#values, duplicates: this.#duplicates }
  }

  #outermost(): void {
    do {
      this.#skipSpace()
      const key = this.#key()
      const start = this.#at
      this.#value()
      if (this.#values.has(key)) this.#duplicates.add(key)
      else if (this.#values.size >= MAX_FIELDS) throw new InvalidJson(`it has more than ${MAX_FIELDS} fields`)
      this.#values.set(key, { start, end: this.#at })
      this.#skipSpace()
    } while (this.#takes(COMMA))
    if (!this.#takes(CLOSE_OBJECT)) this.#fail()
  }

  /** One value, however deep, without recursion. */
  #value(): void {
    do {
      this.#skipSpace()
    } while (this.#opens() || !this.#closes())
  }

  /** @returns true where a container was opened that has something in it: a value comes next. */
  #opens(): boolean {
    const byte = this.#bytes[this.#at]
    if (byte !== OPEN_OBJECT && byte !== OPEN_LIST) {
      this.#scalar(byte)
      return false
    }
    const closer = byte === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST
    // The outermost object counts too.
    if (this.#closers.length + 1 >= MAX_DEPTH) throw new InvalidJson(`it is nested deeper than ${MAX_DEPTH} levels`)
    this.#at += 1
    this.#skipSpace()
    if (this.#takes(closer)) return false
    this.#closers.push(closer)
    if (closer === CLOSE_OBJECT) this.#skipKey()
    return true
  }

  /** Behind a value. @returns true where that ended the whole; false where another value comes next. */
  #closes(): boolean {
    for (;;) {
      const closer = this.#closers.at(-1)
      if (closer === undefined) return true
      this.#skipSpace()
      if (this.#takes(COMMA)) {
        this.#skipSpace()
        if (closer === CLOSE_OBJECT) this.#skipKey()
        return false
      }
      if (!this.#takes(closer)) this.#fail()
      this.#closers.pop()
    }
  }

  #scalar(byte: number | undefined): void {
    const literal = byte === undefined ? undefined : LITERALS.get(byte)
    if (byte === QUOTE) this.#string()
    else if (literal !== undefined) this.#literal(literal)
    else this.#number()
  }

  /** A key of the outermost object, and its colon. */
  #key(): string {
    const start = this.#at
    const end = this.#skipKey()
    const text = this.#bytes.toString('utf8', start + 1, end - 1)
    return text.includes('\\') ? this.#unescaped(start, end) : text
  }

  /** @returns where the key ends */
  #skipKey(): number {
    if (this.#bytes[this.#at] !== QUOTE) this.#fail()
    this.#string()
    const end = this.#at
    this.#skipSpace()
    if (!this.#takes(COLON)) this.#fail()
    this.#skipSpace()
    return end
  }

  #unescaped(start: number, end: number): string {
    try {
      return JSON.parse(this.#bytes.toString('utf8', start, end)) as string
    } catch {
      return this.#fail()
    }
  }

  /** Moves behind the closing quote. */
  #string(): void {
    const bytes = this.#bytes
    let at = this.#at + 1
    for (let near = at + SHORT_STRING; at < near; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) {
        this.#at = at + 1
        return
      }
      if (byte === BACKSLASH) {
        at += 1
        near = Math.max(near, at + SHORT_STRING)
      }
    }
    this.#at = this.#farQuote(at) + 1
  }

  #farQuote(from: number): number {
    const bytes = this.#bytes
    let quote = bytes.indexOf(QUOTE, from)
    while (quote !== -1 && isEscaped(bytes, quote, from)) quote = nextQuote(bytes, quote + 1)
    if (quote === -1) throw new InvalidJson('it ends within a string')
    return quote
  }

  #literal(literal: Buffer): void {
    const end = this.#at + literal.length
    if (this.#bytes.compare(literal, 0, literal.length, this.#at, Math.min(end, this.#bytes.length)) !== 0) this.#fail()
    this.#at = end
  }

  /** RFC 8259 §6, byte by byte: a body may hold millions of them. */
  #number(): void {
    if (this.#bytes[this.#at] === 0x2d) this.#at += 1
    if (this.#bytes[this.#at] === 0x30) this.#at += 1
    else this.#digits()
    if (this.#takes(0x2e)) this.#digits()
    const byte = this.#bytes[this.#at]
    if (byte !== 0x45 && byte !== 0x65) return
    this.#at += 1
    if (!this.#takes(0x2b)) this.#takes(0x2d)
    this.#digits()
  }

  /** One or more. */
  #digits(): void {
    const bytes = this.#bytes
    const start = this.#at
    let at = start
    while ((bytes[at] as number) >= 0x30 && (bytes[at] as number) <= 0x39) at++
    if (at === start) this.#fail()
    this.#at = at
  }

  #takes(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false
    this.#at += 1
    return true
  }

  #skipSpace(): void {
    let byte = this.#bytes[this.#at]
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      this.#at += 1
      byte = this.#bytes[this.#at]
    }
  }

  #fail(): never {
    const isEnd = this.#at >= this.#bytes.length
    throw new InvalidJson(isEnd ? 'it ends too early' : `something unexpected stands at byte ${this.#at}`)
  }
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
