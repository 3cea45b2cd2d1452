import { once } from 'node:events'
import { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from 'node:http'
import type { Test } from 'tap'

export interface WholeAnswer {
  status: number
  statusMessage: string
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
  /** Whether it had its proper end; false where the connection was cut. */
  complete: boolean
}

export interface ComingAnswer {
  response: IncomingMessage
  /** Resolves once what has come contains the text; rejects where the answer ends without it. */
  has(text: string | Buffer): Promise<void>
  /** Resolves when nothing more comes, by whichever side. */
  ended: Promise<WholeAnswer>
  abort(): void
}

export type Body = string | Buffer | object

/** POSTs a body over a connection of its own and resolves with the answer's headers; cut off when the test ends. */
export async function open(
  t: Test,
  url: string,
  body: Body,
  headers: Record<string, string> = {},
  options: RequestOptions = {},
): Promise<ComingAnswer> {
  const outgoing = post(url, body, headers, options)
  t.teardown(() => outgoing.destroy())
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  outgoing.on('error', () => {})
  return { ...collect(response), response, abort: () => outgoing.destroy() }
}

/** POSTs a body and resolves with the whole answer, complete or not. */
export async function send(
  t: Test,
  url: string,
  body: Body,
  headers: Record<string, string> = {},
  options: RequestOptions = {},
): Promise<WholeAnswer> {
  return (await open(t, url, body, headers, options)).ended
}

/** POSTs a body; the request as Node has it, with an error listener of the caller's to come. */
export function post(url: string, body: Body, headers: Record<string, string> = {}, options: RequestOptions = {}) {
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body))
  const own = { 'content-type': 'application/json', 'content-length': String(bytes.length) }
  const outgoing = request(url, { method: 'POST', agent: false, headers: { ...own, ...headers }, ...options })
  outgoing.end(bytes)
  return outgoing
}

function collect(response: IncomingMessage): Pick<ComingAnswer, 'has' | 'ended'> {
  const chunks: Buffer[] = []
  const { promise: ended, resolve } = Promise.withResolvers<WholeAnswer>()
  response.on('data', (chunk: Buffer) => chunks.push(chunk))
  response.on('error', () => {})
  response.once('close', () => resolve(wholeAnswer(response, Buffer.concat(chunks))))
  const has = (text: string | Buffer) => watch(response, () => Buffer.concat(chunks).includes(text))
  return { has, ended }
}

function watch(response: IncomingMessage, isThere: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = () => {
    if (isThere()) resolve()
  }
  look()
  response.on('data', look)
  response.once('close', () => reject(new Error('the answer ended without it')))
  return promise
}

function wholeAnswer(response: IncomingMessage, body: Buffer): WholeAnswer {
  const { statusCode = 0, statusMessage = '', headers, complete } = response
  return { status: statusCode, statusMessage, headers, body, text: body.toString('utf8'), complete }
}

export interface OpenAiError {
  message: string
  type: string
  code: string | null
  param: string | null
}

/** The error that OpenAI's clients would read from an answer. */
export function errorOf({ text }: WholeAnswer): OpenAiError {
  return (JSON.parse(text) as { error: OpenAiError }).error
}

/** Fails with a sentence where a promise takes longer than it may. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
