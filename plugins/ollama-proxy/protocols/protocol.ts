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

/** All that the hub must know of an API that passes through it. One file a protocol; nothing else differs. */
export interface Protocol {
  /** As the events name it. */
  readonly name: string
  /** On the participant, behind the base of its endpoint. */
  readonly path: string
  /** Fields to add for the defaults on which the request is silent. @param has whether the request has a field */
  defaultsFor(config: GenerationConfig, has: (field: string) => boolean): ReadonlyMap<string, unknown>
  /** What an error of the hub looks like, so that the path's own clients can read it. */
  errorBody(error: ProtocolError): object
  /** An error in the midst of a stream, as the bytes that end it. */
  errorFrame(error: ProtocolError): string
  /**
   * Usage as the answer tells it. @param tail the last bytes of the answer, which may begin anywhere
   * @returns undefined where the tail tells none
   */
  readUsage(tail: string): Usage | undefined
}
