import { Type } from '@sinclair/typebox'

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
  400: 'Not usable as it is, or refused by the participant itself',
  404: 'No such room, or nobody in it offers the model',
  413: 'The body is larger than the limit',
  502: 'The participant failed before it began to answer: the error names it and says why',
  503: 'Who could answer is away or has paused, or the hub is shutting down',
  508: 'The request came from this hub',
} as const

/** The hub's own failures on an inference path; a participant's are passed on as they are, whatever their status. */
export function openAiErrors<S extends keyof typeof MEANINGS>(...statuses: S[]): Record<S, typeof OpenAiError> {
  const entries = statuses.map((status) => [status, { ...OpenAiError, description: MEANINGS[status] }])
  return Object.fromEntries(entries) as Record<S, typeof OpenAiError>
}

/** Described, never checked: the body goes on as the client wrote it. */
export const ChatBody = Type.Object(
  {
    model: Type.Optional(
      Type.String({
        description: "A model's name, a participant's id, `model:<name>`, or `*` (as good as nothing) for any",
      }),
    ),
    messages: Type.Array(Type.Unknown()),
    stream: Type.Optional(Type.Boolean()),
  },
  {
    additionalProperties: true,
    description: "OpenAI's request: https://platform.openai.com/docs/api-reference/chat/create",
    examples: [{ model: '*', messages: [{ role: 'user', content: 'What goes well with rice?' }], stream: true }],
  },
)

/** Whatever the participant answers. */
export const PassedThrough = {
  description: "The participant's answer, byte for byte; `x-potluck-participant` says whose it is",
  content: {
    'application/json': { schema: { type: 'object', additionalProperties: true } },
    'text/event-stream': { schema: { type: 'string' } },
  },
}
