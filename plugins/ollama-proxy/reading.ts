import { InvalidField } from '../../schemas/errors.ts'
import { LIMITS } from '../../schemas/limits.ts'
import { type ScannedObject, type Span, scanObject } from './json-scan.ts'
import type { Protocol } from './protocols/protocol.ts'

/** What a request says for itself: read where it stands, never parsed whole. */
export interface Reading {
  /** What the client wrote; `*` where it wrote nothing. */
  readonly model: string
  readonly stream: boolean
  /** The name of what an earlier request made, where this one goes on from there. */
  readonly continues?: string
}

/** A body that was looked into. */
export interface BodyReading extends Reading {
  readonly scanned: ScannedObject
  /** The field that holds the model's name, or would. */
  readonly modelField: string
  /** What the model reads, piece by piece. */
  readonly prompt: readonly Buffer[]
  /** A name that the client gave to requests whose prompts begin alike (OpenAI). */
  readonly cacheKey?: string
}

/** @throws PTL_INVALID_JSON, PTL_INVALID_FIELD */
export function readBody(body: Buffer, protocol: Protocol): BodyReading {
  const { modelFields, streamsBySilence = false, continuesBy, promptFields = [] } = protocol
  const scanned = scanObject(body)
  const { values } = scanned
  for (const field of modelFields) {
    if (scanned.duplicates.has(field)) throw new InvalidField(`${field} must be there only once`)
    if (hasOtherCase(scanned, field)) throw new InvalidField(`${field} must be written in lower case`)
  }
  const modelField = modelFieldOf(body, scanned, modelFields)
  const continues = continuesBy === undefined ? undefined : stringAt(body, scanned, continuesBy)
  const cacheKey = stringAt(body, scanned, 'prompt_cache_key')
  const prompt: Buffer[] = []
  for (const field of promptFields) {
    const span = values.get(field)
    if (span !== undefined) prompt.push(body.subarray(span.start, span.end))
  }
  return {
    scanned,
    modelField,
    prompt,
    ...(cacheKey === undefined ? {} : { cacheKey }),
    model: nameAt(body, scanned, modelField),
    stream: isStreamed(body, values.get('stream'), streamsBySilence),
    ...(continues === undefined ? {} : { continues }),
  }
}

/** Servers written in Go match keys without regard to case, and take the last: `Model` would be a second `model`. */
function hasOtherCase({ values }: ScannedObject, key: string): boolean {
  for (const name of values.keys()) {
    if (name.length === key.length && name !== key && name.toLowerCase() === key) return true
  }
  return false
}

/** The first that says something. */
function modelFieldOf(body: Buffer, scanned: ScannedObject, fields: readonly string[]): string {
  const [first = ''] = fields
  if (fields.length === 1) return first
  return fields.find((field) => isTold(body, scanned, field)) ?? first
}

function isTold(body: Buffer, scanned: ScannedObject, field: string): boolean {
  const text = textOf(body, scanned, field)
  return text !== undefined && text !== 'null' && text !== '""'
}

const T = 0x74
const F = 0x66

/** Its first letter tells a literal from the others. */
function isStreamed(body: Buffer, span: Span | undefined, bySilence: boolean): boolean {
  const letter = span === undefined ? undefined : body[span.start]
  return letter === T || (bySilence && letter !== F)
}

function nameAt(body: Buffer, scanned: ScannedObject, field: string): string {
  const text = textOf(body, scanned, field)
  if (text === undefined || text === 'null') return '*'
  return checkedName(text.startsWith('"') ? parseString(text) : undefined, field)
}

/**
 * A text without controls, since it goes into events; nothing is as good as `*`.
 * @throws PTL_INVALID_FIELD
 */
export function checkedName(model: string | undefined, field: string): string {
  if (model === undefined || model.length > LIMITS.model || /[\u0000-\u001F\u007F-\u009F]/.test(model)) {
    throw new InvalidField(`${field} must be a text of at most ${LIMITS.model} characters without control characters`)
  }
  return model === '' ? '*' : model
}

function stringAt(body: Buffer, scanned: ScannedObject, field: string): string | undefined {
  const text = textOf(body, scanned, field)
  return text?.startsWith('"') === true ? parseString(text) : undefined
}

function textOf(body: Buffer, { values }: ScannedObject, key: string): string | undefined {
  const span = values.get(key)
  if (span === undefined) return undefined
  // Longer than any value that is looked at; the rest of it would only be copied.
  return body.toString('utf8', span.start, Math.min(span.end, span.start + LIMITS.model * 12 + 2))
}

/** Nothing in it means anything else. */
const PLAIN_STRING = /^"[^"\\\u0000-\u001F]*"$/

function parseString(text: string): string | undefined {
  if (PLAIN_STRING.test(text)) return text.slice(1, -1)
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}
