import { InvalidField } from '../../schemas/errors.ts'
import type { Span } from './json-scan.ts'

/** RFC 2046 §5.1.1 has at most 70 characters; servers read more. */
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200})(?=[\s;]|$))/i
/** RFC 7578 §4.2. What has no such head is no field of a form. */
const DISPOSITION = /^content-disposition[ \t]*:[ \t]*form-data[ \t]*((?:;.*)?)$/im
/** One parameter (RFC 9110 §5.6.6), read one behind the other: within quotes may stand whatever looks like another. */
const PARAMETER = /[ \t]*;[ \t]*(?:([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*)))?/y
const CRLF = '\r\n'
const END_OF_HEAD = '\r\n\r\n'
/** Longer heads are none of a form's. */
const MAX_HEAD_BYTES = 8 * 1024
/** Spaces behind a boundary; nobody sends any. */
const MAX_PADDING_BYTES = 64

const [CR, LF, DASH, SPACE, TAB] = [0x0d, 0x0a, 0x2d, 0x20, 0x09]

export function boundaryOf(contentType: string): string | undefined {
  const [, quoted, bare] = BOUNDARY.exec(contentType) ?? []
  return quoted ?? bare
}

export function isMultipart(contentType: string): boolean {
  return /^\s*multipart\/form-data\s*(?:;|$)/i.test(contentType)
}

/** Whether the head of a part (with the line's end before it) is that of a field of this name, and of no file. */
function isFieldNamed(head: string, name: string): boolean {
  // A line that begins with a space belongs to the one before (RFC 5322 §2.2.3).
  const parameters = DISPOSITION.exec(head.replace(/\r\n(?=[ \t])/g, ''))?.[1]
  if (parameters === undefined) return false
  PARAMETER.lastIndex = 0
  let found: string | undefined
  while (PARAMETER.lastIndex < parameters.trimEnd().length) {
    const [whole, key = '', quoted, bare] = PARAMETER.exec(parameters) ?? []
    if (whole === undefined || /^filename\*?$/i.test(key)) return false
    if (key.toLowerCase() === 'name') found ??= quoted ?? bare
  }
  return found === name
}

/** What stands behind the bytes of a delimiter says what it is. */
type Border = 'part' | 'close' | 'none' | 'cut off'

/**
 * Looks for the value of a form's field (RFC 2046, RFC 7578) in bytes that become more. What was read is not read again: who
 * sends a form byte by byte costs no more than who sends it at once.
 */
export class FieldFinder {
  readonly #field: string
  /** The line's end before a delimiter belongs to it. */
  readonly #delimiter: Buffer
  #bytes: Buffer = Buffer.alloc(0)
  #step: () => boolean
  /** Where the search for what comes next goes on. */
  #from = 0
  #headStart = 0
  #valueStart: number | undefined
  #found: Span | undefined

  constructor(boundary: string, field: string) {
    this.#field = field
    this.#delimiter = Buffer.from(`${CRLF}--${boundary}`)
    this.#step = this.#atStart
  }

  /**
   * @param bytes all that there are so far
   * @throws PTL_INVALID_FIELD where the field is there twice
   */
  look(bytes: Buffer): Span | undefined {
    this.#bytes = bytes
    while (this.#step());
    return this.#found
  }

  /** Each of these is a step: @returns false where it takes more bytes, or nothing follows. */

  /** The first delimiter may stand at the very beginning. */
  readonly #atStart = (): boolean => {
    const first = this.#delimiter.subarray(CRLF.length)
    const start = this.#bytes.subarray(0, first.length)
    if (start.length < first.length && start.equals(first.subarray(0, start.length))) return false
    this.#step = this.#atDelimiter
    return start.equals(first) ? this.#passDelimiter(-CRLF.length) : true
  }

  readonly #atDelimiter = (): boolean => {
    const at = this.#bytes.indexOf(this.#delimiter, this.#from)
    if (at !== -1) return this.#passDelimiter(at)
    this.#from = Math.max(this.#from, this.#bytes.length - this.#delimiter.length + 1)
    return false
  }

  readonly #atHead = (): boolean => {
    const end = this.#bytes.indexOf(END_OF_HEAD, this.#from)
    const seen = end === -1 ? this.#bytes.length : end
    if (seen - this.#headStart > MAX_HEAD_BYTES) return this.#passHead(this.#headStart)
    if (end === -1) {
      this.#from = Math.max(this.#from, this.#bytes.length - END_OF_HEAD.length + 1)
      return false
    }
    const head = this.#bytes.subarray(this.#headStart, end)
    if (head.includes(this.#delimiter)) return this.#passHead(this.#headStart)
    if (isFieldNamed(head.toString('latin1'), this.#field)) this.#valueStart = end + END_OF_HEAD.length
    // A part without a body ends with its head, and the line's end of both is one.
    return this.#passHead(end + CRLF.length)
  }

  readonly #atEnd = (): boolean => false

  #passHead(from: number): boolean {
    this.#from = from
    this.#step = this.#atDelimiter
    return true
  }

  #passDelimiter(at: number): boolean {
    const { border, end } = this.#borderAt(at + this.#delimiter.length)
    if (border === 'cut off') {
      this.#from = Math.max(at, 0)
      this.#step = at < 0 ? this.#atStart : this.#atDelimiter
      return false
    }
    this.#from = at + this.#delimiter.length
    if (border === 'none') return true
    this.#noteValue(at)
    this.#headStart = this.#from = end
    this.#step = border === 'part' ? this.#atHead : this.#atEnd
    return true
  }

  #noteValue(end: number): void {
    const start = this.#valueStart
    this.#valueStart = undefined
    if (start === undefined || end < start) return
    if (this.#found !== undefined) throw new InvalidField(`${this.#field} must be there only once`)
    this.#found = { start, end }
  }

  /** @returns as `end` where the head of the part begins, with the line's end before it */
  #borderAt(behind: number): { border: Border; end: number } {
    const bytes = this.#bytes
    let end = behind
    while (end - behind < MAX_PADDING_BYTES && (bytes[end] === SPACE || bytes[end] === TAB)) end++
    const isClose = bytes[behind] === DASH
    const expected = isClose ? [DASH, DASH] : [CR, LF]
    for (const [index, byte] of expected.entries()) {
      if (end + index >= bytes.length) return { border: 'cut off', end }
      if (bytes[end + index] !== byte) return { border: 'none', end }
    }
    return { border: isClose ? 'close' : 'part', end }
  }
}
