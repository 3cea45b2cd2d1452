import type { IncomingHttpHeaders } from 'node:http'
import { MODEL_HEADER } from '../../schemas/headers.ts'
import type { GenerationConfig } from '../../schemas/participant.ts'
import type { ScannedObject } from './json-scan.ts'
import { type Ability, type Needs, NO_NEEDS } from './knowledge.ts'
import type { Endpoint, Protocol } from './protocols/protocol.ts'
import { checkedName, type Reading, readBody } from './reading.ts'
import { lookWithin, spliceBody, splicedPieces } from './splice.ts'
import { peek, type Upload } from './upload.ts'

/** What goes to a participant. */
export interface Outgoing {
  readonly body: Buffer | Iterable<Buffer> | AsyncIterable<Buffer> | null
  readonly headers: Readonly<Record<string, string>>
}

/** A request as far as choosing a participant needs it, and what it becomes once one is chosen. */
export interface Asking extends Reading {
  /** What the model reads, piece by piece; nothing where the hub does not look into it. */
  readonly prompt: readonly Buffer[]
  readonly cacheKey?: string
  readonly needs: Needs
  /** It can't be sent a second time. */
  readonly isOnce: boolean
  /** Of text that was held: what an estimate of the input can be made from. */
  readonly textBytes: number
  outgoingFor(model: string, config: GenerationConfig): Outgoing
}

export interface AskingOptions {
  protocol: Protocol
  endpoint: Endpoint
  headers: IncomingHttpHeaders
  body: Buffer | Upload
  /** Of a body that is passed on as it comes. */
  limitBytes: number
}

const NOTHING_SAID = { model: '*', stream: false, prompt: [], needs: NO_NEEDS } as const
/** From here on a copy of a body costs more than what sending it in pieces does. */
const LARGE_BYTES = 256 * 1024

const JSON_TYPE = { 'content-type': 'application/json' }

/** @throws PTL_INVALID_JSON, PTL_INVALID_FIELD, PTL_BODY_TOO_LARGE; as a rejection where the body is still to come */
export function readRequest({
  protocol,
  endpoint,
  headers,
  body,
  limitBytes,
}: AskingOptions): Asking | Promise<Asking> {
  return Buffer.isBuffer(body) ? readHeld(protocol, endpoint, body) : readUpload(body, headers, limitBytes)
}

function readHeld(protocol: Protocol, endpoint: Endpoint, body: Buffer): Asking {
  if (endpoint.body === 'none') {
    return { ...NOTHING_SAID, isOnce: false, textBytes: 0, outgoingFor: () => ({ body: null, headers: {} }) }
  }
  // What changes a participant's models is about names that only the participant can make sense of.
  if (endpoint.manages === true) {
    return { ...NOTHING_SAID, isOnce: true, textBytes: 0, outgoingFor: () => ({ body, headers: JSON_TYPE }) }
  }
  const { scanned, modelField, ...reading } = readBody(body, protocol)
  const { defaultsWithin } = protocol
  const within = defaultsWithin === undefined ? undefined : lookWithin(body, scanned, defaultsWithin)
  const told = within === undefined ? scanned : within.object
  return {
    ...reading,
    needs: needsOf(protocol, scanned, body, reading.prompt),
    isOnce: false,
    textBytes: body.length,
    outgoingFor(model, config) {
      // Where nothing is generated (a count of tokens), strict servers refuse fields about how.
      const defaults = protocol.defaultsFor(endpoint.isQuiet === true ? {} : config, (name) => hasField(told, name))
      const where = within === undefined ? {} : { within }
      const insertions = { modelField, model, defaults, ...where }
      // It was found to be a JSON object, whatever the client called it; servers refuse it under another name.
      if (body.length < LARGE_BYTES) return { body: spliceBody(body, scanned, insertions), headers: JSON_TYPE }
      const pieces = splicedPieces(body, scanned, insertions)
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
      return { body: pieces, headers: { ...JSON_TYPE, 'content-length': String(length) } }
    },
  }
}

function hasField(object: ScannedObject | undefined, name: string): boolean {
  return object?.values.has(name) === true
}

/** A form says its model within its first bytes, or the client says it beside. */
async function readUpload(upload: Upload, headers: IncomingHttpHeaders, limitBytes: number): Promise<Asking> {
  const peeked = await peek(upload, limitBytes)
  const { model: told = '' } = peeked
  const model = told === '' ? checkedName(besideOf(headers), MODEL_HEADER) : checkedName(told, 'model')
  return {
    model,
    stream: false,
    prompt: [],
    needs: NO_NEEDS,
    isOnce: true,
    textBytes: 0,
    outgoingFor(name) {
      const { body, contentLength } = peeked.bodyWith(name)
      const length = contentLength === undefined ? {} : { 'content-length': String(contentLength) }
      return { body, headers: { 'content-type': upload.contentType, ...length } }
    },
  }
}

/** Node reads headers as Latin-1; clients send names as UTF-8. */
function besideOf({ [MODEL_HEADER]: beside = '' }: IncomingHttpHeaders): string {
  const text = String(beside)
  const decoded = Buffer.from(text, 'latin1').toString('utf8')
  return decoded.includes('\uFFFD') ? text : decoded
}

/** English has some four bytes a token, and no text has many more: a prompt has at least so many tokens. */
const BYTES_PER_TOKEN = 6

/** How images are told in a message, whichever API it is of; all have the word in common. */
const IMAGE_MARKS = ['"image_url"', '"input_image"', '"image"', '"images"'].map((mark) => Buffer.from(mark))
const IMAGE_WORD = Buffer.from('image')

/** What a model must be able to do to serve it, as far as the request shows that. */
function needsOf(protocol: Protocol, { values }: ScannedObject, body: Buffer, prompt: readonly Buffer[]): Needs {
  const abilities: Ability[] = []
  let bytes = 0
  let hasImages = false
  for (const piece of prompt) {
    bytes += piece.length
    hasImages ||= tellsImage(piece)
  }
  if (protocol.embeds === true) abilities.push('embed')
  if (protocol.errorShape === 'ollama') abilities.push('ollama')
  if (hasImages) abilities.push('images')
  const tools = values.get('tools')
  if (tools !== undefined && body[tools.start] === OPEN_LIST && tools.end - tools.start > EMPTY_LIST)
    abilities.push('tools')
  // An image is large as text, and small as tokens.
  return { abilities, promptTokens: hasImages ? 0 : Math.floor(bytes / BYTES_PER_TOKEN) }
}

function tellsImage(piece: Buffer): boolean {
  return piece.includes(IMAGE_WORD) && IMAGE_MARKS.some((mark) => piece.includes(mark))
}

const OPEN_LIST = 0x5b
const EMPTY_LIST = 3
