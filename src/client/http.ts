import { HubError, HubUnreachable, NotAHub, reasonOf } from './errors.ts'

export interface HttpOptions {
  /** Of the hub. */
  url: string
  /** For one answer of the hub's own API. */
  timeoutMs: number
  fetch: typeof fetch
}

export interface Call {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  path: string
  body?: object
  /** Password or token. */
  credential?: string | undefined
  signal?: AbortSignal | undefined
}

/** The largest answer is a list of participants; whoever sends more than this is no hub. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** One question to the hub's own API. @throws HubError, HubUnreachable, NotAHub */
export async function ask<T>(options: HttpOptions, call: Call): Promise<T> {
  const signals = [AbortSignal.timeout(options.timeoutMs), ...(call.signal === undefined ? [] : [call.signal])]
  const response = await send(options, { ...call, signal: AbortSignal.any(signals) })
  const text = await readText(options, response)
  const body = parse(text)
  if (!response.ok) throw refusalOf(options, response, body)
  if (body === undefined) throw new NotAHub(options.url)
  return body as T
}

/** @throws HubUnreachable; the reason of `call.signal`, where that was aborted */
export async function send({ url, fetch }: HttpOptions, call: Call): Promise<Response> {
  const { method = 'GET', path, body, credential, signal } = call
  const headers: Record<string, string> = { accept: 'application/json' }
  if (credential !== undefined) headers.authorization = `Bearer ${latin1(credential)}`
  // A hub sends nobody elsewhere, and the credential is for it alone.
  const init: RequestInit = { method, headers, redirect: 'manual', signal: signal ?? null }
  if (body !== undefined) {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  try {
    return await fetch(`${url}${path}`, init)
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error
    throw isOtherSpeech(error) ? new NotAHub(url) : new HubUnreachable(url, reasonOf(error), { cause: error })
  }
}

/** It answered, and not in HTTP. */
function isOtherSpeech(error: unknown): boolean {
  const { cause } = error as { cause?: { name?: unknown } }
  return cause?.name === 'HTTPParserError'
}

/** The base shape, or the shape of an inference path: both hold one sentence. */
export function refusalOf({ url }: HttpOptions, response: Response, body: unknown): Error {
  const message = sentenceIn(body)
  if (message !== undefined) return new HubError(response.status, message, retryAfterMs(response))
  // What stands before a hub (a proxy, a load balancer) fails in its own words; anything else is something else.
  return response.status >= 500
    ? new HubError(response.status, `The hub at ${url} answered ${response.status}`, retryAfterMs(response))
    : new NotAHub(url)
}

export function sentenceIn(body: unknown): string | undefined {
  const { error } = (body ?? {}) as { error?: unknown }
  const message = typeof error === 'string' ? error : (error as { message?: unknown } | null | undefined)?.message
  return typeof message === 'string' ? message : undefined
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined
}

export async function readText({ url }: HttpOptions, response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const bytes of bytesOf(response)) {
      text += decoder.decode(bytes, { stream: true })
      if (text.length > MAX_ANSWER_BYTES) throw new NotAHub(url)
    }
  } catch (error) {
    if (error instanceof NotAHub || (error as Error).name === 'AbortError') throw error
    throw new HubUnreachable(url, reasonOf(error), { cause: error })
  }
  return text
}

/** By a reader, since not every browser iterates over a stream. */
export async function* bytesOf({ body }: Response): AsyncGenerator<Uint8Array, void, void> {
  if (body === null) return
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel().catch(() => {})
  }
}

export function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

/** A header carries bytes; a password beyond ASCII goes as UTF-8, as the hub reads it. */
function latin1(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text))
}
