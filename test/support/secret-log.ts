import type { FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'

/** What is shorter stands in a log by chance, and so does a mere word. */
const MIN_LENGTH = 6
const WORD = /^[a-z]+$/i

/** Of a long one the beginning tells enough. */
const MAX_LENGTH = 200

/** Per hub; a flood of requests must not make its end slow. */
const MAX_SECRETS = 500

/** Fields that hold a secret, wherever they stand: a password, what people say to models, and what proves who is who. */
const SECRET_FIELDS = new Set(['password', 'token', 'hostToken', 'key', 'ticket', 'content', 'text', 'prompt', 'input'])

/** A field, in JSON, that nobody may see. A bare word would stand in a random id once in some ten thousand runs. */
export const NAMES_A_SECRET = /"\w*(?:hash|token|password|address)\w*":/i
export const NAMES_A_HASH = /hash\w*"?\s*[:=]/i

/** What went through the tests' own requests, by the hub that it went to. */
const secrets = new Map<string, Set<string>>()

export interface Exchange {
  url: string
  headers: Readonly<Record<string, string>>
  body: unknown
  answer: unknown
}

/** Remembers the secrets of a request and its answer, for the log of the hub that it went to. */
export function noteSecrets({ url, headers, body, answer }: Exchange): void {
  const found = secrets.get(new URL(url).origin) ?? new Set()
  secrets.set(new URL(url).origin, found)
  const { authorization = '' } = Object.fromEntries(
    Object.entries(headers).map(([name, of]) => [name.toLowerCase(), of]),
  )
  for (const secret of [authorization.split(' ').at(-1) ?? '', ...secretsIn(body), ...secretsIn(answer)]) {
    if (found.size < MAX_SECRETS && isTelling(secret)) found.add(secret)
  }
}

function isTelling(secret: string): boolean {
  return secret.length >= MIN_LENGTH && !WORD.test(secret)
}

/** Texts in secret fields, as a log would hold them whatever it did to quotes and line ends. */
function secretsIn(value: unknown, isSecret = false): string[] {
  if (typeof value === 'string') return isSecret ? [plainest(value)] : []
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) =>
    secretsIn(inner, SECRET_FIELDS.has(name) || (isSecret && Array.isArray(value))),
  )
}

/** The longest piece without characters that JSON escapes. */
function plainest(text: string): string {
  const pieces = text.slice(0, MAX_LENGTH).split(/["\\\p{Cc}]/u)
  return pieces.reduce((longest, piece) => (piece.length > longest.length ? piece : longest), '')
}

export interface KeptLog {
  logger: FastifyBaseLogger
  lines: string[]
}

/** A log at the level that tells most, kept in memory. */
export function keepLog(): KeptLog {
  const lines: string[] = []
  return { logger: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }), lines }
}

/** Those of the secrets that stand in the log, as text or as the bytes of a buffer. */
export function findSecrets(lines: readonly string[], wanted: Iterable<string>): string[] {
  const text = lines.join('')
  const buffers = Array.from(text.matchAll(/"data":\[([\d,]+)\]/g), ([, bytes = '']) => asText(bytes.split(',')))
  const all = [text, ...buffers].join('\n')
  return [...wanted].filter((secret) => all.includes(secret))
}

function asText(bytes: readonly string[]): string {
  return Buffer.from(bytes.map(Number)).toString()
}

/**
 * The test fails at its end where the hub has logged a secret that went through `call`, `openRoom` or `join`.
 * @param urlOf the hub's own, known once it listens
 */
export function holdToSilence(t: Test, { lines }: KeptLog, urlOf: () => string): void {
  t.teardown(() => {
    const told = findSecrets(lines, secrets.get(urlOf()) ?? [])
    secrets.delete(urlOf())
    if (told.length === 0) return
    const where = lines.filter((line) => findSecrets([line], told).length > 0)
    rootOf(t).fail('the hub logs no secret', { test: t.fullname, told, where: where.slice(0, 5) })
  })
}

/** The test itself has ended when its teardowns run; and an error would keep those that follow from running. */
function rootOf(t: Test): Test {
  return t.parent === undefined ? t : rootOf(t.parent as Test)
}
