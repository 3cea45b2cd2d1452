import type { Dispatcher } from 'undici'

/** A list of models has a few hundred bytes each; whoever sends more than this sends no list of models. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface AskedTarget {
  origin: string
  basePath: string
}

export interface JsonAnswer {
  statusCode: number
  /** Absent where the answer is no JSON object. */
  body?: Record<string, unknown>
}

export interface Question {
  path: string
  timeoutMs: number
  /** @default 1 MiB */
  maxBytes?: number
  /** Sent as JSON, by POST. */
  body?: object
}

/** Asks a participant's server a small question of the hub's own. */
export async function askJson(
  dispatcher: Dispatcher,
  { origin, basePath }: AskedTarget,
  { path, timeoutMs, maxBytes = MAX_ANSWER_BYTES, body: question }: Question,
): Promise<JsonAnswer> {
  const signal = AbortSignal.timeout(timeoutMs)
  const headers = {
    accept: 'application/json',
    ...(question === undefined ? {} : { 'content-type': 'application/json' }),
  }
  const asked = question === undefined ? { method: 'GET' } : { method: 'POST', body: JSON.stringify(question) }
  const options = { origin, path: `${basePath}${path}`, headers, signal, ...asked } as Dispatcher.RequestOptions
  const { statusCode, body } = await dispatcher.request(options)
  const object = parse(await readAll(body, maxBytes))
  return object === undefined ? { statusCode } : { statusCode, body: object }
}

async function readAll(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += (chunk as Buffer).length
    if (bytes > maxBytes) break
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
