/** WHATWG EventSource: a line ends at CR, LF or CRLF, so either of them in a field would forge the next one. */
const LINE_END = /[\r\n]/

/** How long an EventSource waits before it connects again. Short: what was missed is replayed. */
export const RETRY_MS = 2000

export const COMMENT_FRAME = ':\n\n'

/** @throws TypeError */
export function checkLine(name: string, value: string): void {
  if (LINE_END.test(value)) throw new TypeError(`A line end in the ${name} of an event would forge a frame`)
}

function field(name: string, value: string): string {
  checkLine(name, value)
  return `${name}: ${value}\n`
}

/** `event:` and `data:` lines and the blank line that ends a frame; JSON leaves no raw line end in the data. */
export function encodeBody(type: string, data: unknown): string {
  return `${field('event', type)}data: ${JSON.stringify(data)}\n\n`
}

export function encodeId(id: string): string {
  return field('id', id)
}

/** A comment that says why a stream ends: shown by curl, ignored by an EventSource. */
export function encodeComment(text: string): string {
  return `: ${text.replace(/[\r\n]+/g, ' ')}\n\n`
}
