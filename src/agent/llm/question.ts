import { request } from 'undici'

export type Headers = Readonly<Record<string, string>>

export interface Told {
  readonly [key: string]: unknown
}

export type Answer =
  /** `body` is absent where it is no JSON object. */
  { kind: 'answered'; status: number; body?: Told } | { kind: 'silent'; reason: string }

/** A server on the same machine answers at once, unless it is loading a model. */
const TIMEOUT_MS = 2000

/** A list of some thousand models; whoever sends more sends no list. */
const MAX_BYTES = 4 * 1024 * 1024

/** One question to a server of this machine, bounded in time and size; never fails. */
export async function question(base: string, path: string, headers: Headers = {}): Promise<Answer> {
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const { statusCode, body } = await request(`${base}${path}`, {
      headers: { accept: 'application/json', ...headers },
      signal,
    })
    const parsed = parse(await readAll(body))
    return { kind: 'answered', status: statusCode, ...(parsed === undefined ? {} : { body: parsed }) }
  } catch (error) {
    return { kind: 'silent', reason: reasonOf(error as NodeJS.ErrnoException) }
  }
}

async function readAll(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    // Leaving the loop destroys the body, and its connection with it.
    if (bytes > MAX_BYTES) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): Told | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is Told {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reasonOf({ name, code, message }: NodeJS.ErrnoException): string {
  if (name === 'TimeoutError') return `it did not answer within ${TIMEOUT_MS / 1000} s`
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'no such host'
  return message || code || 'it does not speak HTTP'
}
