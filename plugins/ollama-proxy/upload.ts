import type { Readable } from 'node:stream'
import { BodyTooLarge } from '../../schemas/errors.ts'
import type { Span } from './json-scan.ts'
import { boundaryOf, FieldFinder, isMultipart } from './multipart.ts'

/** A body that is passed on as it comes, and never held. */
export interface Upload {
  readonly stream: Readable
  readonly contentType: string
  /** As the client announced it; absent: it comes in chunks. */
  readonly contentLength?: number
}

/** How much of a body is looked at for the name of the model; clients put it behind the file as often as before it. */
export const MAX_PEEK_BYTES = 64 * 1024

/** The client went away in the midst of its body. */
export class UploadBroken extends Error {}

export interface Peeked {
  /** What the form says; undefined where it says nothing within the bytes that were looked at. */
  readonly model: string | undefined
  /** The body with another name of the model in its place. It can be read once. */
  bodyWith(model: string): { body: AsyncIterable<Buffer>; contentLength?: number }
}

/**
 * Reads the beginning of a form, up to where its `model` is.
 * @throws PTL_BODY_TOO_LARGE, PTL_INVALID_FIELD; whatever the stream fails with
 */
export async function peek({ stream, contentType, contentLength }: Upload, limitBytes: number): Promise<Peeked> {
  if ((contentLength ?? 0) > limitBytes) throw new BodyTooLarge(limitBytes)
  // A failure must still be answered, and destroying the request would destroy the connection.
  const source = stream.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
  const chunks = bounded(unbroken(source), limitBytes)
  const boundary = isMultipart(contentType) ? boundaryOf(contentType) : undefined
  const { head, span } = boundary === undefined ? NOTHING : await readHead(chunks, boundary)

  return {
    model: span === undefined ? undefined : head.toString('utf8', span.start, span.end),

    bodyWith(model) {
      const start =
        span === undefined ? [head] : [head.subarray(0, span.start), Buffer.from(model), head.subarray(span.end)]
      const body = joined(Buffer.concat(start), chunks)
      if (contentLength === undefined || span === undefined) return { body, ...lengthOf(contentLength) }
      return { body, contentLength: contentLength + Buffer.byteLength(model) - (span.end - span.start) }
    },
  }
}

function lengthOf(contentLength: number | undefined): { contentLength?: number } {
  return contentLength === undefined ? {} : { contentLength }
}

async function* unbroken(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* chunks
  } catch (cause) {
    throw new UploadBroken('The client went away', { cause })
  }
}

interface Head {
  head: Buffer
  span?: Span
}

const NOTHING: Head = { head: Buffer.alloc(0) }

/** What stands behind the bytes that are looked at is not: the answer must not depend on the pieces in which they come. */
async function readHead(chunks: AsyncGenerator<Buffer>, boundary: string): Promise<Head> {
  const finder = new FieldFinder(boundary, 'model')
  const looked = Buffer.allocUnsafe(MAX_PEEK_BYTES)
  let length = 0
  while (length < MAX_PEEK_BYTES) {
    const { value, done } = await chunks.next()
    if (done === true) break
    const taken = value.copy(looked, length)
    length += taken
    const span = finder.look(looked.subarray(0, length))
    const head = () => Buffer.concat([looked.subarray(0, length), value.subarray(taken)])
    if (span !== undefined) return { head: head(), span }
    if (taken < value.length) return { head: head() }
  }
  return { head: looked.subarray(0, length) }
}

/** Counts what the client sent, whatever becomes of it. */
async function* bounded(chunks: AsyncIterable<Buffer>, limitBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.length
    if (bytes > limitBytes) throw new BodyTooLarge(limitBytes)
    yield chunk
  }
}

async function* joined(head: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head
  yield* rest
}
