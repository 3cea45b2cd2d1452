import type { ServerResponse } from 'node:http'
import { setImmediate as tick } from 'node:timers/promises'
import type { Answerer, SeenRequest } from './fake-llm.ts'

/** What the hub sent, read. */
export function bodyOf<T = Record<string, unknown>>({ body }: SeenRequest): T {
  return JSON.parse(body.toString()) as T
}

/** The form that the hub sent, read by Node's own parser. */
export function formOf({ body, headers }: SeenRequest): Promise<FormData> {
  const init = {
    method: 'POST',
    body: new Uint8Array(body),
    headers: { 'content-type': headers['content-type'] ?? '' },
  }
  return new Request('http://llm.test/', init).formData()
}

export function sendJson(response: ServerResponse, value: object, status = 200): void {
  const text = JSON.stringify(value)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** One JSON document, the same for each request or made for each. */
export function answerJson(value: object | ((request: SeenRequest) => object), status = 200): Answerer {
  return (request, response) => sendJson(response, typeof value === 'function' ? value(request) : value, status)
}

/** The answers in their order; a request too many fails for everybody to see. */
export function answerInTurn(...answerers: readonly Answerer[]): Answerer {
  const left = [...answerers]
  return (request, response) => {
    const next = left.shift() ?? answerJson({ error: 'one request too many' }, 500)
    return next(request, response)
  }
}

export const EVENTS = 'text/event-stream'
export const LINES = 'application/x-ndjson'
export type StreamType = typeof EVENTS | typeof LINES

/** The beginning of a stream, and then nothing more while the connection stays open. Each frame is a write of its own. */
export async function beginStream(response: ServerResponse, type: StreamType, ...frames: string[]): Promise<void> {
  response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' })
  for (const frame of frames) {
    response.write(frame)
    await tick()
  }
}

/** A whole stream. */
export function answerFrames(type: StreamType, frames: readonly string[]): Answerer {
  return async (_request, response) => {
    await beginStream(response, type, ...frames)
    response.end()
  }
}

/** The beginning of a stream, then the connection is cut. */
export function answerCut(type: StreamType, frames: readonly string[]): Answerer {
  return async (_request, response) => {
    await beginStream(response, type, ...frames)
    response.destroy()
  }
}

/** `data:` alone, as OpenAI's older APIs have it. */
export function dataFrame(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

export const DONE = 'data: [DONE]\n\n'

/** With the name of the event, as OpenAI's Responses and Anthropic have it. */
export function eventFrame<T extends { readonly type: string }>(value: T): string {
  return `event: ${value.type}\n${dataFrame(value)}`
}

export function line(value: object): string {
  return `${JSON.stringify(value)}\n`
}
