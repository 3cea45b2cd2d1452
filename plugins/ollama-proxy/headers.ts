import type { IncomingHttpHeaders, OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import { REQUEST_HEADERS, RESPONSE_HEADER_PREFIXES, RESPONSE_HEADERS } from '../../schemas/headers.ts'

/** What of the client's headers goes to the participant, and `via` (RFC 9110 §7.6.3), by which a hub knows its own request again. */
export function upstreamHeaders(headers: IncomingHttpHeaders, via: string): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of REQUEST_HEADERS) {
    const value = headers[name]
    if (typeof value === 'string') kept[name] = value
  }
  kept.via = headers.via === undefined ? via : `${headers.via}, ${via}`
  return kept
}

/** Names and values in turns, as `ServerResponse.writeHead` takes them: for each answer an object would cost more. */
export type HeaderList = OutgoingHttpHeader[]

/**
 * What of the participant's headers reaches the client.
 * @param hasLength whether the answer goes on with the length that the participant gave it
 */
export function clientHeaders(headers: IncomingHttpHeaders, hasLength = true): HeaderList {
  const kept: HeaderList = []
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || !isKept(name) || (!hasLength && name === 'content-length')) continue
    kept.push(name, name.startsWith('content-') ? single(value) : value)
  }
  return kept
}

export function listOf(headers: OutgoingHttpHeaders): HeaderList {
  const list: HeaderList = []
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) list.push(name, value)
  }
  return list
}

/** Each name is there once. */
export function objectOf(list: HeaderList): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {}
  for (let at = 0; at < list.length; at += 2) headers[String(list[at])] = list[at + 1]
  return headers
}

/** What describes the content describes it once; undici gives what came twice as a list. */
export function single(value: string | string[]): string {
  return Array.isArray(value) ? (value[0] ?? '') : value
}

function isKept(name: string): boolean {
  return RESPONSE_HEADERS.has(name) || RESPONSE_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix))
}
