import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Participant } from './participant.ts'
import { Room, RoomView } from './room.ts'

const ParticipantGone = Type.Object({ participantId: Type.String(), reason: Type.Optional(Type.String()) })

const Metrics = Type.Object({
  ttftMs: Type.Number({ description: 'From the arrival of the request to the first byte of the answer' }),
  durationMs: Type.Number(),
  inputTokens: Type.Integer(),
  outputTokens: Type.Integer(),
  totalTokens: Type.Integer(),
  tokensPerSecond: Type.Number({ description: 'Output tokens over the time of generation' }),
  estimated: Type.Boolean({ description: 'True where the server told no usage and the hub counted' }),
})
export type Metrics = Static<typeof Metrics>

/** The data of every event. No event carries a prompt or an answer. */
export const EVENTS = {
  connected: Type.Object({ clientId: Type.String({ description: 'UUID' }) }),
  gap: Type.Object({ reason: Type.String({ description: 'Why what was missed cannot be replayed' }) }),
  'room:created': Room,
  'room:updated': RoomView,
  'room:closed': Type.Object({ roomId: Type.String(), code: Type.String() }),
  'participant:joined': Participant,
  'participant:updated': Participant,
  'participant:online': Participant,
  'participant:left': ParticipantGone,
  'participant:offline': ParticipantGone,
  'llm:request': Type.Object({
    participantId: Type.String(),
    model: Type.String({ description: 'What the client wrote' }),
    servedModel: Type.String({ description: 'What the participant calls it' }),
    requestId: Type.String(),
    protocol: Type.String(),
    stream: Type.Boolean(),
    attempt: Type.Integer(),
    queuedMs: Type.Number(),
    reason: Type.String({ description: 'Why this participant was chosen' }),
  }),
  'llm:queued': Type.Object({
    requestId: Type.String(),
    model: Type.String({ description: 'What the client wrote' }),
    position: Type.Integer({ description: 'How many wait in the room, this one included' }),
  }),
  'llm:complete': Type.Object({
    participantId: Type.String(),
    model: Type.String({ description: 'What the client wrote' }),
    servedModel: Type.String({ description: 'What the participant calls it' }),
    requestId: Type.String(),
    protocol: Type.String(),
    metrics: Metrics,
  }),
  'llm:error': Type.Object({
    participantId: Type.Optional(Type.String({ description: 'Absent where the request still waited for its turn' })),
    error: Type.String(),
    requestId: Type.String(),
    protocol: Type.String(),
    stage: Type.String({ description: 'queue, connect, answer or stream: how far the request had come' }),
    retrying: Type.Boolean(),
  }),
  'llm:cancelled': Type.Object({
    participantId: Type.Optional(Type.String()),
    requestId: Type.String(),
    durationMs: Type.Number(),
  }),
} as const satisfies Record<string, TSchema>

export type EventType = keyof typeof EVENTS
export type EventData<T extends EventType> = Static<(typeof EVENTS)[T]>
