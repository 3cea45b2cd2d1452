import { type TSchema, Type } from '@sinclair/typebox'
import { ErrorBody } from './errors.ts'
import { MODEL_HEADER, POTLUCK_HEADERS } from './headers.ts'
import { LIMITS } from './limits.ts'

/** https://platform.openai.com/docs/guides/error-codes: what OpenAI's SDKs parse. */
export const OpenAiError = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: Type.Union([Type.String(), Type.Null()]),
    code: Type.Union([Type.String(), Type.Null()]),
  }),
})

/** https://docs.anthropic.com/en/api/errors: what Anthropic's SDKs parse. */
export const AnthropicError = Type.Object({
  type: Type.Literal('error'),
  error: Type.Object({ type: Type.String(), message: Type.String() }),
})

/** What a failure looks like, by whose clients read it. */
const ERROR_SHAPES = { openai: OpenAiError, anthropic: AnthropicError, ollama: ErrorBody } as const
export type ErrorShape = keyof typeof ERROR_SHAPES

const MEANINGS = {
  400: 'Not usable as it is',
  403: 'The participant does not let others change its models',
  404: 'No such room, or nobody in it offers the model',
  413: 'The body is larger than the limit',
  429: "Too many wrong passwords from your address, or the key's budget is spent",
  502: 'The participant failed before it began to answer: the error names it and says why',
  503: 'Who could answer is away or has paused, or the hub is too busy or shutting down',
  508: 'The request came from this hub',
} as const

/** The hub's own failures on an inference path; a participant's are passed on as they are, whatever their status. */
export function inferenceErrors<S extends keyof typeof MEANINGS>(
  shape: ErrorShape,
  ...statuses: S[]
): Record<S, TSchema> {
  const entries = statuses.map((status) => [status, { ...ERROR_SHAPES[shape], description: MEANINGS[status] }])
  return Object.fromEntries(entries) as Record<S, TSchema>
}

/** What a request comes back to. */
export const InferenceParams = Type.Object({
  code: Type.String({ description: 'Room code, in any case', examples: ['K7QX2M'] }),
  id: Type.String({ description: "The response's id, as its maker gave it", examples: ['resp_67ccd2bed1ec8190'] }),
})

const ModelText = Type.String({
  maxLength: LIMITS.model,
  pattern: '^[^\\u0000-\\u001F\\u007F-\\u009F]*$',
  'x-expects': `a text of at most ${LIMITS.model} characters without control characters`,
})

const Model = Type.Union([ModelText, Type.Null()], {
  description: "A model's name, an alias, a participant's id, `model:<name>`, or `*` (as good as nothing) for any",
})

/** Described, never checked: the body goes on as the client wrote it. */
function jsonBody(examples: readonly object[]) {
  return Type.Object(
    {
      model: Type.Optional(Model),
      stream: Type.Optional(Type.Boolean({ description: 'Whether the answer comes piece by piece' })),
    },
    {
      additionalProperties: true,
      description: 'As the API has it that the path belongs to: the hub reads these fields and passes all of them on',
      examples: [...examples],
    },
  )
}

const Form = {
  type: 'object',
  properties: {
    model: {
      ...ModelText,
      description: `As in JSON; behind more than 64 KiB, say it in the header \`${MODEL_HEADER}\``,
    },
  },
  additionalProperties: true,
}

/** By media type, where a body may have several. */
export function inferenceBody(path: string, kind: 'json' | 'any', examples: readonly object[] = []): object {
  if (kind === 'json') return jsonBody(examples)
  const form = { 'multipart/form-data': { schema: Form } }
  const json = { 'application/json': { schema: jsonBody(examples) } }
  if (examples.length === 0) return { content: form }
  return { content: path.startsWith('/v1/images/') ? { ...json, ...form } : json }
}

const Anything = {
  'application/json': { schema: { type: 'object', additionalProperties: true } },
  'text/event-stream': { schema: { type: 'string', description: 'Chunks of the answer' } },
  'application/x-ndjson': { schema: { type: 'string', description: "Chunks of the answer, in Ollama's APIs" } },
}

/** Whatever the participant answers. */
export const PassedThrough = {
  description: "The participant's answer, byte for byte",
  headers: {
    [POTLUCK_HEADERS.participant]: { type: 'string', description: 'Id of who answered' },
    [POTLUCK_HEADERS.reason]: { type: 'string', description: 'Why it was chosen' },
    [POTLUCK_HEADERS.queueMs]: { type: 'string', description: 'How long the request waited for its turn, ms' },
    [POTLUCK_HEADERS.attempts]: {
      type: 'string',
      description: 'How often it was tried, at one participant or at several',
    },
    [POTLUCK_HEADERS.model]: { type: 'string', description: 'What the participant calls the model' },
    [POTLUCK_HEADERS.ttftMs]: { type: 'string', description: 'Until the first byte of the answer, ms' },
    [POTLUCK_HEADERS.inputTokens]: { type: 'string', description: 'Where the whole answer was there at once' },
    [POTLUCK_HEADERS.outputTokens]: { type: 'string', description: 'Where the whole answer was there at once' },
    [POTLUCK_HEADERS.requestId]: { type: 'string', description: 'As in the events of this request' },
  },
  content: Anything,
}

/** A participant has statuses and words of its own, also for those statuses that the hub uses itself. */
export const PassedOn = {
  description: `What the participant itself refused, with its status and in its words; \`${POTLUCK_HEADERS.participant}\` tells it from the hub's own failures`,
  headers: PassedThrough.headers,
  content: Anything,
}
