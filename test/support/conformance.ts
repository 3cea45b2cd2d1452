import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { type HeaderList, objectOf } from '../../plugins/ollama-proxy/headers.ts'
import { POTLUCK_HEADERS } from '../../schemas/headers.ts'
import { checkOf, type JsonSchema } from './json-schema.ts'
import { type Answer, type DescribedOperation, type OpenApi, operationsOf } from './openapi.ts'

/**
 * Holds a hub to its own description: whatever it answers on a described route must have a status, a media type and a
 * content that `/openapi.json` declares for it, frames of event streams included. The test fails at its end, with a
 * list, where something has not. Looks at the wire, since what a route returns is not yet what a client gets.
 */
export function holdToDescription(t: Test, app: FastifyInstance): void {
  const faults = new Set<string>()
  let find: ReturnType<typeof finder> | undefined
  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    find ??= finder(app.swagger() as unknown as OpenApi)
    const described = find(request.method ?? '', request.url ?? '')
    if (described === undefined) return
    const sent = record(response)
    response.once('close', () => {
      for (const fault of faultsOf(described.operation.responses, sent))
        faults.add(`${described.method} ${described.path} → ${sent.status}: ${fault}`)
    })
  })
  t.teardown(() => {
    if (faults.size > 0)
      rootOf(t).fail('the hub does what /openapi.json says', { test: t.fullname, faults: [...faults] })
  })
}

/** The test itself has ended when its teardowns run; and an error would keep those that follow from running. */
function rootOf(t: Test): Test {
  return t.parent === undefined ? t : rootOf(t.parent as Test)
}

/** Which operation a request is for; none where the hub describes no such route. */
function finder(document: OpenApi): (method: string, url: string) => DescribedOperation | undefined {
  const known = operationsOf(document).map((described) => ({ described, pattern: patternOf(described.path) }))
  return (method, url) => {
    const path = url.split('?', 1)[0] ?? ''
    return known.find(({ described, pattern }) => described.method === method && pattern.test(path))?.described
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}/?$`)
}

interface Sent {
  status: number
  headers: OutgoingHttpHeaders
  text: string
  /** Whether all of it was sent: a client that goes away, or a hub that closes, may cut an answer. */
  isWhole: boolean
}

/** Listens in on what is written to a response. A participant's own answer is not kept: it is not the hub's to describe. */
function record(response: ServerResponse): Sent {
  const sent: Sent = { status: 0, headers: {}, text: '', isWhole: false }
  const { writeHead, write, end } = response
  const keep = (chunk: unknown): void => {
    if (isPassedOn(sent)) return
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) sent.text += chunk.toString()
  }
  response.writeHead = ((status: number, ...rest: unknown[]) => {
    const given = rest.findLast((argument) => typeof argument === 'object') as
      | OutgoingHttpHeaders
      | HeaderList
      | undefined
    Object.assign(sent, { status, headers: { ...response.getHeaders(), ...lowerCased(given) } })
    return Reflect.apply(writeHead, response, [status, ...rest])
  }) as typeof writeHead
  response.write = ((chunk: unknown, ...rest: unknown[]) => {
    keep(chunk)
    return Reflect.apply(write, response, [chunk, ...rest])
  }) as typeof write
  response.end = ((chunk: unknown, ...rest: unknown[]) => {
    keep(chunk)
    return Reflect.apply(end, response, [chunk, ...rest])
  }) as typeof end
  response.once('finish', () => {
    sent.isWhole = true
  })
  return sent
}

function lowerCased(given: OutgoingHttpHeaders | HeaderList = {}): OutgoingHttpHeaders {
  const headers = Array.isArray(given) ? objectOf(given) : given
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function isPassedOn({ headers }: Sent): boolean {
  return headers[POTLUCK_HEADERS.participant] !== undefined
}

function faultsOf(answers: Record<string, Answer>, sent: Sent): string[] {
  // The client went away before there was an answer.
  if (sent.status === 0) return []
  const answer = answers[sent.status] ?? answers.default
  if (answer === undefined) return [`no such status is described; the answer was ${sent.text.slice(0, 200)}`]
  if (isPassedOn(sent))
    return answers.default === undefined ? ['it passes on what others answer: describe a default'] : []
  return contentFaults(answer, sent)
}

function contentFaults({ content }: Answer, sent: Sent): string[] {
  if (content === undefined) return sent.text === '' ? [] : ['no content is described']
  const type = bareType(String(sent.headers['content-type'] ?? ''))
  const schema = Object.entries(content).find(([described]) => bareType(described) === type)?.[1].schema
  if (schema === undefined) return [`${type === '' ? 'no media type' : type} is not described`]
  if (type === 'text/event-stream') return frameFaults(schema, sent.text)
  if (!sent.isWhole) return []
  return type.endsWith('json') ? jsonFaults(schema, sent.text) : checkOf(schema)(sent.text)
}

function bareType(mediaType: string): string {
  return mediaType.split(';', 1)[0] ?? ''
}

function jsonFaults(schema: JsonSchema, text: string): string[] {
  const value = parsed(text)
  return value === undefined ? [`${text.slice(0, 100)} is not JSON`] : checkOf(schema)(value)
}

/** A frame that is not whole (no blank line behind it) was cut by who went away. */
function frameFaults(schema: JsonSchema, text: string): string[] {
  const events = schema['x-events'] as Record<string, JsonSchema> | undefined
  // Signs of life in somebody's stream, for whom nobody was chosen yet.
  if (events === undefined) return []
  const frames = text.split('\n\n').slice(0, -1)
  return frames.flatMap((frame) => {
    const [, type, data = ''] = /^event: (.*)\ndata: (.*)$/m.exec(frame) ?? []
    if (type === undefined) return []
    const known = events[type]
    return known === undefined
      ? [`no event ${type} is described`]
      : jsonFaults(known, data).map((fault) => `${type}: ${fault}`)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
