import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
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

/** What of the participant's headers reaches the client. */
export function clientHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const kept: OutgoingHttpHeaders = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && isKept(name)) kept[name] = name.startsWith('content-') ? single(value) : value
  }
  return kept
}

/** What describes the content describes it once; undici gives what came twice as a list. */
export function single(value: string | string[]): string {
  return Array.isArray(value) ? (value[0] ?? '') : value
}

function isKept(name: string): boolean {
  return RESPONSE_HEADERS.has(name) || RESPONSE_HEADER_PREFIXES.some((prefix) => name.startsWith(prefix))
}
