import type { TSchema } from '@sinclair/typebox'
import { TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { InvalidField, MissingFields } from './errors.ts'

interface Part {
  schema: TSchema
  /** Which part of the request: `body`, `querystring`, `params` or `headers`. */
  httpPart?: string
}

type Validation = { value: unknown } | { error: Error }

/**
 * Fastify's validator compiler over TypeBox. Bodies are taken as they are (`{"name": 12}` is an error, not `"12"`), other
 * parts are strings by nature and are converted. The error is one sentence that names the field and what it must be.
 */
export function compileValidator({ schema, httpPart }: Part): (value: unknown) => Validation {
  const compiled = TypeCompiler.Compile(schema)
  return (input) => {
    const value = httpPart === 'body' ? (input ?? {}) : withNumbers(schema, input)
    if (lacksRequired(schema, value)) return { error: new MissingFields(schema['x-missing']) }
    if (compiled.Check(value)) return { value }
    return { error: new InvalidField(describe(compiled.Errors(value).First())) }
  }
}

/** What comes in a URL is text; a number there is its plain decimal digits and nothing else (`1e3`, `0x10`, `1.5`, `true`). */
function withNumbers(schema: TSchema, input: unknown): unknown {
  const entries = Object.entries((input ?? {}) as Record<string, unknown>).map(([name, value]) => {
    const isNumber = schema.properties?.[name]?.type === 'integer' && typeof value === 'string' && INTEGER.test(value)
    return [name, isNumber ? Number(value) : value]
  })
  return Object.fromEntries(entries)
}

const INTEGER = /^-?\d{1,15}$/

/** With `x-missing` on the schema, absent, null and blank required fields get that one sentence, as the base contract has it. */
function lacksRequired(schema: TSchema, value: unknown): boolean {
  if (schema['x-missing'] === undefined || typeof value !== 'object' || value === null) return false
  const fields = value as Record<string, unknown>
  return (schema.required as string[]).some((name) => isBlank(fields[name]))
}

function isBlank(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && value.trim() === '')
}

function describe(error: ValueError | undefined): string {
  if (error === undefined) return 'The request is not valid'
  const field = fieldName(error.path)
  const within = error.type === ValueErrorType.Union ? error.errors[0]?.First() : undefined
  // Of an object that may be absent, what is wrong is inside it.
  if (within !== undefined && within.path !== error.path) return describe(within)
  if (error.type === ValueErrorType.ObjectRequiredProperty) return `${field} is required`
  if (error.type === ValueErrorType.ObjectAdditionalProperties) return `${field} is not a field of this request`
  return `${field} must be ${expectation(error.schema)}`
}

/** `/config/stop/0` → `config.stop[0]`. */
function fieldName(path: string): string {
  const name = path
    .slice(1)
    .replace(/\/(\d+)(?=\/|$)/g, '[$1]')
    .replaceAll('/', '.')
    .replace(/[^\w.[\]-]/g, '?')
    .slice(0, 80)
  return name === '' ? 'The body' : name
}

function expectation(schema: TSchema): string {
  if (typeof schema['x-expects'] === 'string') return schema['x-expects']
  const first = schema.anyOf?.[0] as TSchema | undefined
  if (first !== undefined) return expectation(first)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  return `${named(schema.type)}${bounds(schema)}`
}

function named(type: unknown): string {
  if (type === 'object') return 'a JSON object'
  if (type === 'array') return 'a list'
  if (type === 'integer') return 'a whole number'
  return `a ${String(type)}`
}

function bounds({ minimum, maximum, maxItems }: TSchema): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`
  if (minimum !== undefined) return ` of at least ${minimum}`
  if (maxItems !== undefined) return ` of at most ${maxItems}`
  return ''
}
