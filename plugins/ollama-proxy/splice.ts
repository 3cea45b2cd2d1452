import type { ScannedObject, Span } from './json-scan.ts'

/** What is put into a client's body; everything else in it stays as it is, to the byte. */
export interface Insertions {
  /** The participant's real name of the model. */
  readonly model: string
  /** Fields on which the request is silent, in the protocol's own names. */
  readonly defaults: ReadonlyMap<string, unknown>
}

/**
 * The client's bytes with the model's name replaced (or added) and the missing defaults added in front.
 * @returns the very same buffer where there is nothing to change
 */
export function spliceBody(bytes: Buffer, scanned: ScannedObject, { model, defaults }: Insertions): Buffer {
  const span = scanned.values.get('model')
  const name = Buffer.from(JSON.stringify(model))
  const isSame = span !== undefined && bytes.subarray(span.start, span.end).equals(name)
  const front = frontOf(scanned, span === undefined ? new Map([['model', model], ...defaults]) : defaults)
  if (isSame && front.length === 0) return bytes
  return Buffer.concat([bytes.subarray(0, scanned.open), front, ...rest(bytes, scanned.open, span, name)])
}

function frontOf(scanned: ScannedObject, fields: ReadonlyMap<string, unknown>): Buffer {
  const missing = [...fields].filter(([key]) => !scanned.values.has(key))
  if (missing.length === 0) return Buffer.alloc(0)
  const text = missing.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')
  return Buffer.from(scanned.isEmpty ? text : `${text},`)
}

function rest(bytes: Buffer, open: number, span: Span | undefined, name: Buffer): Buffer[] {
  if (span === undefined) return [bytes.subarray(open)]
  return [bytes.subarray(open, span.start), name, bytes.subarray(span.end)]
}
