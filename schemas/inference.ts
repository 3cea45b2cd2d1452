import { Type } from '@sinclair/typebox'
import { POTLUCK_HEADERS } from './headers.ts'
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

const MEANINGS = {
  400: 'Not usable as it is',
  404: 'No such room, or nobody in it offers the model',
  413: 'The body is larger than the limit',
  429: "Too many wrong passwords from your address, or the key's budget is spent",
  502: 'The participant failed before it began to answer: the error names it and says why',
  503: 'Who could answer is away or has paused, or the hub is too busy or shutting down',
  508: 'The request came from this hub',
} as const

/** The hub's own failures on an inference path; a participant's are passed on as they are, whatever their status. */
export function openAiErrors<S extends keyof typeof MEANINGS>(...statuses: S[]): Record<S, typeof OpenAiError> {
  const entries = statuses.map((status) => [status, { ...OpenAiError, description: MEANINGS[status] }])
  return Object.fromEntries(entries) as Record<S, typeof OpenAiError>
}

const ModelText = Type.String({
  maxLength: LIMITS.model,
  pattern: '^[^\\u0000-\\u001F\\u007F-\\u009F]*$',
  'x-expects': `a text of at most ${LIMITS.model} characters without control characters`,
})

/** Described, never checked: the body goes on as the client wrote it. */
export const ChatBody = Type.Object(
  {
    model: Type.Optional(
      Type.Union([ModelText, Type.Null()], {
        description: "A model's name, a participant's id, `model:<name>`, or `*` (as good as nothing) for any",
      }),
    ),
    messages: Type.Array(Type.Unknown(), { description: 'The conversation so far' }),
    stream: Type.Optional(
      Type.Boolean({ description: 'true: the answer comes piece by piece, as Server-Sent Events' }),
    ),
  },
  {
    additionalProperties: true,
    description: "OpenAI's request: https://platform.openai.com/docs/api-reference/chat/create",
    examples: [
      { model: '*', messages: [{ role: 'user', content: 'What goes well with rice?' }], stream: true },
      { model: 'llama3.2:3b', messages: [{ role: 'user', content: 'What goes well with rice?' }] },
    ],
  },
)

const Anything = {
  'application/json': { schema: { type: 'object', additionalProperties: true } },
  'text/event-stream': { schema: { type: 'string', description: 'Chunks of the answer' } },
}

/** Whatever the participant answers. */
export const PassedThrough = {
  description: "The participant's answer, byte for byte",
  headers: {
    [POTLUCK_HEADERS.participant]: { type: 'string', description: 'Id of who answered' },
    [POTLUCK_HEADERS.reason]: { type: 'string', description: 'Why it was chosen' },
    [POTLUCK_HEADERS.queueMs]: { type: 'string', description: 'How long the request waited for its turn, ms' },
    [POTLUCK_HEADERS.attempts]: { type: 'string', description: 'How many participants were tried' },
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
