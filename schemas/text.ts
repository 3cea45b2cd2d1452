import { type TSchema, Type } from '@sinclair/typebox'

/**
 * Not blank, and without C0 and C1 controls, Unicode's line ends and its overrides of direction: with them a name could
 * forge a frame, a header or a log line, or look like another.
 */
const NO_CONTROLS = '^(?=.*\\S)[^\\u0000-\\u001F\\u007F-\\u009F\\u2028\\u2029\\u202A-\\u202E\\u2066-\\u2069]*$'

/** One line of text that somebody typed. `x-expects` is the end of the sentence "<field> must be …". */
export function Text(maxLength: number, description: string) {
  return Type.String({
    minLength: 1,
    maxLength,
    pattern: NO_CONTROLS,
    description,
    'x-expects': `a text of 1 to ${maxLength} characters without control characters`,
  })
}

/** A field that a client may leave out or send as `null`; both mean the same. */
export function Absent<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** The object without the keys whose value is `null` or `undefined`: in answers and events absent beats null. */
export function withoutNulls<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(value).filter(([, item]) => item !== null && item !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> }
}
