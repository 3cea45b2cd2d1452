import { type ScannedObject, type Span, scanObject } from './json-scan.ts'

/** What is put into a client's body; everything else in it stays as it is, to the byte. */
export interface Insertions {
  /** Where the model's name stands, or goes. @default 'model' */
  readonly modelField?: string
  /** The participant's real name of the model. */
  readonly model: string
  /** Fields on which the request is silent, in the protocol's own names. */
  readonly defaults: ReadonlyMap<string, unknown>
  /** Where the defaults go; absent: into the body itself. */
  readonly within?: Within
}

/** A field whose object defaults go into. */
export interface Within {
  readonly field: string
  /** Its value; absent where there is none. */
  readonly span?: Span
  /** Where that is an object. */
  readonly object?: ScannedObject
}

/**
 * Looks into a field once, before anybody is asked to serve: what can't be read is refused while nothing has begun.
 * @throws PTL_INVALID_JSON
 */
export function lookWithin(bytes: Buffer, scanned: ScannedObject, field: string): Within {
  const span = scanned.values.get(field)
  if (span === undefined) return { field }
  return bytes[span.start] === OPEN_OBJECT
    ? { field, span, object: scanObject(bytes.subarray(span.start, span.end)) }
    : { field, span }
}

/** Bytes `start` to `end` of the body give way to the text. */
interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * The client's bytes with the model's name replaced (or added) and the missing defaults added in front.
 * @returns the very same buffer where there is nothing to change
 */
export function spliceBody(bytes: Buffer, scanned: ScannedObject, insertions: Insertions): Buffer {
  const pieces = splicedPieces(bytes, scanned, insertions)
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
}

/** The same in pieces, most of them views of the client's bytes: what is large need not be copied. */
export function splicedPieces(bytes: Buffer, scanned: ScannedObject, insertions: Insertions): Buffer[] {
  const { modelField = 'model', model, defaults, within } = insertions
  const added: [string, unknown][] = scanned.values.has(modelField) ? [] : [[modelField, model]]
  const edits: Edit[] = []
  if (within === undefined) added.push(...missingOf(scanned, defaults))
  else addWithin(bytes, within, defaults, added, edits)
  const front = insertionInto(scanned, added)
  if (front !== undefined) edits.unshift(front)
  const name = replacement(bytes, scanned, modelField, model)
  if (name !== undefined) edits.push(name)
  return edits.length === 0 ? [bytes] : edited(bytes, edits)
}

function missingOf({ values }: ScannedObject, fields: ReadonlyMap<string, unknown>): [string, unknown][] {
  return [...fields].filter(([key]) => !values.has(key))
}

/** An object that is not there, or that is `null`, is made. What is no object is the participant's to refuse. */
function addWithin(
  bytes: Buffer,
  { field, span, object }: Within,
  defaults: ReadonlyMap<string, unknown>,
  added: [string, unknown][],
  edits: Edit[],
): void {
  if (defaults.size === 0) return
  if (span === undefined) {
    added.push([field, Object.fromEntries(defaults)])
  } else if (object !== undefined) {
    const insertion = insertionInto(object, missingOf(object, defaults))
    if (insertion === undefined) return
    edits.push({ start: span.start + insertion.start, end: span.start + insertion.end, text: insertion.text })
  } else if (bytes.subarray(span.start, span.end).equals(NULL)) {
    edits.push({ ...span, text: JSON.stringify(Object.fromEntries(defaults)) })
  }
}

const NULL = Buffer.from('null')
const OPEN_OBJECT = 0x7b

function insertionInto({ open, isEmpty }: ScannedObject, fields: readonly [string, unknown][]): Edit | undefined {
  if (fields.length === 0) return undefined
  const text = fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')
  return { start: open, end: open, text: isEmpty ? text : `${text},` }
}

function replacement(bytes: Buffer, { values }: ScannedObject, field: string, model: string): Edit | undefined {
  const span = values.get(field)
  const text = JSON.stringify(model)
  return span === undefined || bytes.subarray(span.start, span.end).equals(Buffer.from(text))
    ? undefined
    : { ...span, text }
}

function edited(bytes: Buffer, edits: readonly Edit[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (const { start, end, text } of edits.toSorted((one, other) => one.start - other.start)) {
    pieces.push(bytes.subarray(at, start), Buffer.from(text))
    at = end
  }
  return [...pieces, bytes.subarray(at)]
}
