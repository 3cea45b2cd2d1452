import type { IncomingHttpHeaders } from 'node:http'
import type { ErrorShape } from '../../../schemas/inference.ts'
import type { GenerationConfig } from '../../../schemas/participant.ts'

/** Tokens as the protocol counts them. */
export interface Usage {
  inputTokens: number
  outputTokens: number
}

export interface ProtocolError {
  statusCode: number
  /** Of our error catalogue: `PTL_…`. */
  code: string
  message: string
}

/** Both ends of an answer, as text; a short answer stands in both. */
export interface AnswerEnds {
  /** The first bytes. */
  head: string
  /** The last bytes, which may begin anywhere. */
  tail: string
}

/** What of an API the hub serves: below a room, and by the same path on the participant. */
export interface Endpoint {
  readonly method: 'POST' | 'GET' | 'DELETE'
  /** With Fastify's parameters: `/v1/responses/:id`. */
  readonly path: string
  /** Of the OpenAPI description. */
  readonly operationId: string
  readonly summary: string
  /** Requests to try, for the description. */
  readonly examples?: readonly object[]
  /**
   * `json`: whatever the content type says, looked into and held; `any`: as `json` where the content type says so, else
   * passed on as it comes; `none`: none is expected.
   */
  readonly body: 'json' | 'any' | 'none'
  /** Parameters of the query that go on; others stay in the hub, since people send keys there. @default none */
  readonly query?: readonly string[]
  /** Nothing is generated: no event tells of it, and no budget is charged. */
  readonly isQuiet?: boolean
  /** It is about what an earlier request made, so it goes back to whoever made that. */
  readonly goesToMaker?: boolean
  /** It changes what the participant has; only where the participant allowed that. */
  readonly manages?: boolean
}

/** All that the hub must know of an API that passes through it. One file a protocol; nothing else differs. */
export interface Protocol {
  /** As the events and the metrics name it. */
  readonly name: string
  readonly endpoints: readonly Endpoint[]
  /** Fields that may hold the model's name. The first one is added where none is there. */
  readonly modelFields: readonly string[]
  /** Whether a request that does not say so is streamed. @default false */
  readonly streamsBySilence?: boolean
  /** The media type of its streams: how they are framed follows from it. */
  readonly streamType: 'text/event-stream' | 'application/x-ndjson'
  /** Its answers are vectors: of models that can do nothing else, these are asked. @default false */
  readonly embeds?: boolean
  /** What the answer to a request generates: of numbers (embeddings) nothing is counted. @default true */
  readonly generates?: boolean
  /** Defaults go into this object of the body, not into the body itself. */
  readonly defaultsWithin?: string
  /**
   * Defaults for which the request is silent, in the protocol's own names.
   * @param has whether the request has a field, within `defaultsWithin` where that is set
   */
  defaultsFor(config: GenerationConfig, has: (field: string) => boolean): ReadonlyMap<string, unknown>
  /** Fields that make up the prompt, in the order in which a server reads them: what two requests share of them is in its cache. */
  readonly promptFields?: readonly string[]
  /** A field that names what an earlier request made: only whoever made that can go on from there. */
  readonly continuesBy?: string
  /** The name of what the answer made, for requests that come back to it. */
  readId?(ends: AnswerEnds): string | undefined
  /** Whether these are headers of the protocol's own clients, on paths that several protocols know. */
  recognises?(headers: IncomingHttpHeaders): boolean
  /** For the description, what `errorBody` returns. */
  readonly errorShape: ErrorShape
  /** What an error of the hub looks like, so that the path's own clients can read it. */
  errorBody(error: ProtocolError): object
  /** An error in the midst of a stream, as the bytes that end it. */
  errorFrame(error: ProtocolError): string
  /** What keeps a stream's client waiting, and means nothing. @default nothing does */
  readonly keepAliveFrame?: string
  /** Whether a participant refused the prompt for its length: another one may have a larger context window. */
  isTooLong(text: string): boolean
  /** Whether a stream's own last frame is there: what breaks behind it broke nothing. @param tail its last bytes */
  hasEnded(tail: string): boolean
  /** Usage as the answer tells it; undefined where it tells none. */
  readUsage(ends: AnswerEnds): Usage | undefined
}

/** Where each default goes: the field that is added, and those whose presence means that the request is not silent. */
export type DefaultFields = Partial<Record<keyof GenerationConfig, readonly [field: string, ...others: string[]]>>

/** `defaultsFor` by a table. What the table does not name, the protocol does not know. */
export function defaultsBy(table: DefaultFields): Protocol['defaultsFor'] {
  const rows = Object.entries(table) as [keyof GenerationConfig, readonly [string, ...string[]]][]
  return (config, has) => {
    const fields = new Map<string, unknown>()
    for (const [key, names] of rows) {
      const value = config[key]
      if (value !== undefined && !names.some(has)) fields.set(names[0], value)
    }
    return fields
  }
}

/**
 * Servers have no common word for it: `exceed_context_size_error` (llama.cpp), `context_length_exceeded` (OpenAI), "maximum
 * context length" (vLLM), "prompt is too long" (Anthropic).
 */
export function isTooLong(text: string): boolean {
  return /exceed_context_size|context_length_exceeded|maximum context length|exceeds? the (?:available )?context|prompt is too long/i.test(
    text,
  )
}

/** For protocols that generate nothing that a default could shape. */
export const noDefaults: Protocol['defaultsFor'] = () => new Map()
