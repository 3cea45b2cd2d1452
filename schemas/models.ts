import { type Static, Type } from '@sinclair/typebox'
import { LIMITS } from './limits.ts'
import type { Participant } from './participant.ts'

export const IMPLIED_TAG = ':latest'

/** Ollama's rule: a name without a tag means `:latest`. */
export function withoutImpliedTag(name: string): string {
  return name.endsWith(IMPLIED_TAG) ? name.slice(0, -IMPLIED_TAG.length) : name
}

const ANY_NAMES = new Set(['', '*', 'any'])
export const MODEL_PREFIX = 'model:'

/** `*`, `any` and nothing: a request for whoever is free. */
export function meansAny(name: string): boolean {
  return ANY_NAMES.has(name)
}

export function isReservedName(name: string): boolean {
  return meansAny(name) || name.startsWith(MODEL_PREFIX)
}

/** @returns what is wrong with a participant's models, as a sentence */
export function unusableModels(models: readonly string[]): string | undefined {
  const reserved = models.find(isReservedName)
  if (reserved !== undefined) return `models must not be named ${reserved}: it has a meaning of its own in requests`
  if (models.length > LIMITS.models) return `models must be at most ${LIMITS.models}, \`model\` included`
  const characters = models.reduce((sum, { length }) => sum + length, 0)
  return characters > LIMITS.modelsCharacters
    ? `models must be at most ${LIMITS.modelsCharacters} characters together`
    : undefined
}

const Model = Type.Object({
  id: Type.String({ description: 'What a request may name: a model, a participant, or `*` for any' }),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 's since the epoch' }),
  owned_by: Type.String(),
  gambiarra: Type.Optional(
    Type.Object(
      { nickname: Type.String(), model: Type.String(), endpoint: Type.String() },
      {
        description: 'On participants, as the reference system has it',
      },
    ),
  ),
  potluck: Type.Object({
    kind: Type.Union([Type.Literal('model'), Type.Literal('participant'), Type.Literal('any')]),
    participants: Type.Array(Type.String(), { description: 'Ids of those who serve it' }),
    models: Type.Optional(Type.Array(Type.String(), { description: 'What a participant offers' })),
  }),
})

/** https://platform.openai.com/docs/api-reference/models/list */
export const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) })

/** Each model on offer by name, then each participant that isn't away by its id, then `*`. */
export function listModels(participants: readonly Participant[]): Static<typeof ModelList> {
  const present = participants.filter(({ status }) => status !== 'offline')
  const byName = Array.from(offeringByName(present), ([name, offering]) => byNameOf(name, offering))
  const any = present.length === 0 ? [] : [anyOf(present)]
  return { object: 'list', data: [...byName, ...present.map(byIdOf), ...any] }
}

const OWNER = 'potluck'

function offeringByName(present: readonly Participant[]): Map<string, Participant[]> {
  const byName = new Map<string, Participant[]>()
  for (const participant of present) {
    for (const model of participant.models) {
      const offering = byName.get(model)
      if (offering === undefined) byName.set(model, [participant])
      else offering.push(participant)
    }
  }
  return byName
}

/** They stand in the order of joining, so the first one was there first. */
function seconds([first]: readonly Participant[]): number {
  return Math.floor((first?.joinedAt ?? 0) / 1000)
}

function byNameOf(name: string, offering: readonly Participant[]): Static<typeof Model> {
  const participants = offering.map(({ id }) => id)
  return {
    id: name,
    object: 'model',
    created: seconds(offering),
    owned_by: OWNER,
    potluck: { kind: 'model', participants },
  }
}

function byIdOf(participant: Participant): Static<typeof Model> {
  const { id, nickname, model, models, endpoint } = participant
  return {
    id,
    object: 'model',
    created: seconds([participant]),
    owned_by: nickname,
    gambiarra: { nickname, model, endpoint },
    potluck: { kind: 'participant', participants: [id], models },
  }
}

function anyOf(present: readonly Participant[]): Static<typeof Model> {
  const participants = present.map(({ id }) => id)
  return {
    id: '*',
    object: 'model',
    created: seconds(present),
    owned_by: OWNER,
    potluck: { kind: 'any', participants },
  }
}
