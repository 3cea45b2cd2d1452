import { type Static, Type } from '@sinclair/typebox'
import { LIMITS } from './limits.ts'
import { Absent, Text, withoutNulls } from './text.ts'

/** Stands alone in a path and in a header, so neither escapes nor `.` and `..`. */
export const ParticipantId = Type.String({
  pattern: `^(?!\\.{1,2}$)[A-Za-z0-9._:-]{1,${LIMITS.participantId}}$`,
  description: 'Chosen by the participant, unique in its room',
  examples: ['alice-laptop'],
  'x-expects': `1 to ${LIMITS.participantId} of A–Z a–z 0–9 . _ : - (and not . or ..)`,
})

export const ModelName = Text(LIMITS.model, "A model's name as the LLM server knows it")

export const Specs = Type.Object(
  {
    gpu: Type.Optional(Type.String()),
    cpu: Type.Optional(Type.String()),
    vram: Type.Optional(Type.Number({ description: 'GB' })),
    ram: Type.Optional(Type.Number({ description: 'GB' })),
  },
  { description: "The participant's machine" },
)
export type Specs = Static<typeof Specs>

export const GenerationConfig = Type.Object(
  {
    temperature: Type.Optional(Type.Number()),
    top_p: Type.Optional(Type.Number()),
    max_tokens: Type.Optional(Type.Integer()),
    stop: Type.Optional(Type.Array(Type.String())),
    frequency_penalty: Type.Optional(Type.Number()),
    presence_penalty: Type.Optional(Type.Number()),
    seed: Type.Optional(Type.Integer()),
  },
  { description: 'Defaults, used where a request is silent' },
)
export type GenerationConfig = Static<typeof GenerationConfig>

const HardwareName = Type.Union([Text(LIMITS.hardwareName, 'Name of the part'), Type.Literal('')], {
  'x-expects': `a text of at most ${LIMITS.hardwareName} characters without control characters`,
})
const Gigabytes = Type.Number({ minimum: 0, description: 'GB' })

/** Read leniently: nulls and unknown keys are dropped. */
export const SpecsInput = Type.Object({
  gpu: Absent(HardwareName),
  cpu: Absent(HardwareName),
  vram: Absent(Gigabytes),
  ram: Absent(Gigabytes),
})

const StopSequence = Type.String({
  maxLength: LIMITS.stopSequence,
  'x-expects': `a string of at most ${LIMITS.stopSequence} characters`,
})
const StopInput = Type.Union([StopSequence, Type.Array(StopSequence, { maxItems: LIMITS.stopSequences })], {
  'x-expects': `a string or a list of at most ${LIMITS.stopSequences}, each of at most ${LIMITS.stopSequence} characters`,
})

/** Read leniently: nulls and unknown keys are dropped, `stop` may be one string. */
export const GenerationConfigInput = Type.Object({
  temperature: Absent(Type.Number()),
  top_p: Absent(Type.Number()),
  max_tokens: Absent(Type.Integer()),
  stop: Absent(StopInput),
  frequency_penalty: Absent(Type.Number()),
  presence_penalty: Absent(Type.Number()),
  seed: Absent(Type.Integer()),
})

export const Status = Type.Union([Type.Literal('online'), Type.Literal('busy'), Type.Literal('offline')])
export type Status = Static<typeof Status>

/** A participant as everybody in the room sees it; no secret has a place in it. */
export const Participant = Type.Object({
  id: ParticipantId,
  nickname: Type.String(),
  model: Type.String({ description: 'The first of `models`' }),
  models: Type.Array(Type.String()),
  endpoint: Type.String({
    description:
      "Base URL of the participant's LLM server, as it was given; `tunnel:<id>` where it is reached through a tunnel",
  }),
  specs: Specs,
  config: GenerationConfig,
  status: Status,
  paused: Type.Optional(
    Type.Boolean({ description: 'True while its owner lets nothing new in; `status` is then busy' }),
  ),
  offlineReason: Type.Optional(
    Type.String({ description: 'What the last probe or its tunnel found, while it is offline' }),
  ),
  slots: Type.Optional(Type.Integer({ description: 'Requests it serves at once, where that is known' })),
  manage: Type.Optional(Type.Boolean({ description: 'True where it lets the room change its models' })),
  joinedAt: Type.Integer({ description: 'ms since the epoch' }),
  lastSeen: Type.Integer({ description: 'ms since the epoch' }),
})
export type Participant = Static<typeof Participant>

export const Performance = Type.Object(
  {
    requests: Type.Integer({ description: 'That it has answered since the hub was started' }),
    ttftMs: Type.Number({
      description: 'From its getting a request to the first byte of its answer: without the wait in the hub',
    }),
    tokensPerSecond: Type.Number({ description: 'Of the output' }),
  },
  { description: 'How fast it has been lately: moving averages, absent until it has served' },
)
export type Performance = Static<typeof Performance>

/** A participant, and how it has been doing. */
export const MeasuredParticipant = Type.Composite([
  Participant,
  Type.Object({ performance: Type.Optional(Performance) }),
])

export type MeasuredParticipant = Static<typeof MeasuredParticipant>

const PassedOver = Type.Object(
  {
    busy: Type.Optional(Type.Integer({ description: 'All its slots were taken' })),
    outranked: Type.Optional(Type.Integer({ description: 'Somebody else was better: warm, less loaded, faster' })),
    paused: Type.Optional(Type.Integer()),
    offline: Type.Optional(Type.Integer()),
    failing: Type.Optional(Type.Integer({ description: 'It had failed several times in a row' })),
    unable: Type.Optional(Type.Integer({ description: 'It could not do what the request needed' })),
  },
  { description: 'Requests that it could have had, and did not get, by reason' },
)

export const OneMeasuredParticipant = Type.Object({
  participant: MeasuredParticipant,
  passedOver: PassedOver,
})

export const OneParticipant = Type.Object({ participant: Participant })

export const ParticipantParams = Type.Object({
  code: Type.String({ description: 'Room code, in any case', examples: ['K7QX2M'] }),
  id: Type.String({ description: "The participant's id", examples: ['alice-laptop'] }),
})

const Endpoint = Type.String({
  minLength: 1,
  maxLength: LIMITS.endpoint,
  description: 'Base URL of the LLM server; with or without a trailing `/v1`',
  examples: ['http://192.168.1.20:11434'],
  'x-expects': `an http or https URL of at most ${LIMITS.endpoint} characters`,
})

const ModelNames = Type.Array(ModelName, {
  minItems: 1,
  maxItems: LIMITS.models,
  description: 'All that it offers; the first one is `model`',
  'x-expects': `a list of 1 to ${LIMITS.models} model names`,
})

const Slots = Type.Integer({ minimum: 1, maximum: LIMITS.slots, description: 'How many requests it serves at once' })

const Liveness = Type.Union([Type.Literal('heartbeat'), Type.Literal('probe')], {
  description: 'Whether the participant sends heartbeats (the default) or the hub asks its endpoint',
  'x-expects': '"heartbeat" or "probe"',
})
export type Liveness = Static<typeof Liveness>

/** Empty is as good as absent, as in the base contract. */
const OptionalModelName = Type.Union([ModelName, Type.String({ pattern: '^\\s*$', maxLength: LIMITS.model })], {
  'x-expects': ModelName['x-expects'],
})

/** The base contract's own words; `models` may stand in for `model`. */
export const JOIN_MISSING = 'Missing required fields: id, nickname, model, endpoint'

/** Empty is as good as absent, as in the base contract. */
const OptionalEndpoint = Type.Union([Endpoint, Type.String({ pattern: '^\\s*$', maxLength: LIMITS.endpoint })], {
  'x-expects': Endpoint['x-expects'],
})

export const JoinBody = Type.Object(
  {
    id: ParticipantId,
    nickname: Text(LIMITS.nickname, 'Shown to the room'),
    model: Absent(OptionalModelName),
    models: Absent(ModelNames),
    endpoint: Absent(OptionalEndpoint),
    tunnel: Absent(
      Type.Boolean({
        description: 'true, in place of `endpoint`: the participant opens a tunnel, and is offline until it has',
      }),
    ),
    password: Absent(Type.String({ maxLength: LIMITS.password })),
    specs: Absent(SpecsInput),
    config: Absent(GenerationConfigInput),
    slots: Absent(Slots),
    liveness: Absent(Liveness),
    manage: Absent(
      Type.Boolean({ description: "true: the room may change its models by Ollama's API (pull, create, delete, …)" }),
    ),
    authHeaders: Type.Optional(
      Type.Unknown({ description: 'Refused: credentials of a provider stay on the machine that owns them' }),
    ),
  },
  {
    'x-missing': JOIN_MISSING,
    examples: [
      {
        id: 'alice-laptop',
        nickname: 'Alice',
        model: 'llama3.2:3b',
        endpoint: 'http://192.168.1.20:11434',
        specs: { ram: 32 },
      },
    ],
  },
)
export type JoinBody = Static<typeof JoinBody>

export const ParticipantPatch = Type.Object(
  {
    models: Type.Optional(ModelNames),
    config: Absent(GenerationConfigInput),
    specs: Absent(SpecsInput),
    slots: Type.Optional(Slots),
    paused: Type.Optional(Type.Boolean({ description: 'true: what runs is finished, nothing new comes' })),
  },
  { additionalProperties: false, examples: [{ paused: true }] },
)
export type ParticipantPatch = Static<typeof ParticipantPatch>

export const HeartbeatBody = Type.Object(
  { id: Type.String() },
  { 'x-missing': 'Participant ID is required', examples: [{ id: 'alice-laptop' }] },
)

export function readSpecs(input: Static<typeof SpecsInput> | null | undefined): Specs {
  const { gpu, cpu, vram, ram } = input ?? {}
  return withoutNulls({ gpu, cpu, vram, ram })
}

export function readConfig(input: Static<typeof GenerationConfigInput> | null | undefined): GenerationConfig {
  const { temperature, top_p, max_tokens, stop, frequency_penalty, presence_penalty, seed } = input ?? {}
  const stopList = typeof stop === 'string' ? [stop] : stop
  return withoutNulls({ temperature, top_p, max_tokens, stop: stopList, frequency_penalty, presence_penalty, seed })
}

/** `model` first, then the rest of `models`, each once. */
export function readModels({ model, models }: { model?: string | null; models?: readonly string[] | null }): string[] {
  const first = model === undefined || model === null || model.trim() === '' ? [] : [model]
  return [...new Set([...first, ...(models ?? [])])]
}
