import { type Static, Type } from '@sinclair/typebox'
import { type Aliases, followAlias } from './aliases.ts'
import { spellingsOf } from './models.ts'
import type { Participant } from './participant.ts'

const Model = Type.Object({
  id: Type.String({ description: 'What a request may name: a model, an alias, a participant, or `*` for any' }),
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
    kind: Type.Union([Type.Literal('model'), Type.Literal('alias'), Type.Literal('participant'), Type.Literal('any')]),
    participants: Type.Array(Type.String(), { description: 'Ids of those who serve it' }),
    models: Type.Optional(
      Type.Array(Type.String(), { description: 'What a participant offers, or what an alias leads to' }),
    ),
  }),
})

/** https://platform.openai.com/docs/api-reference/models/list */
export const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) })

/**
 * Each model on offer by name, then each alias that leads to somebody, then each participant that isn't away by its id, then
 * `*`. Each name once, as what a request for it means.
 */
export function listModels(participants: readonly Participant[], aliases: Aliases): Static<typeof ModelList> {
  const present = participants.filter(({ status }) => status !== 'offline')
  const offering = offeringByName(present)
  const byName = Array.from(offering, ([name, serving]) => byNameOf(name, serving))
  const byAlias = servingByAlias(present, aliases, new Set(offering.keys())).map(byAliasOf)
  const byId = present.filter(({ id }) => !aliases.has(id)).map(byIdOf)
  const any = present.length === 0 ? [] : [anyOf(present)]
  return { object: 'list', data: [...byName, ...byAlias, ...byId, ...any] }
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

interface ServedAlias {
  readonly name: string
  /** All that it leads to, in order of preference. */
  readonly models: readonly string[]
  /** In the order of joining. */
  readonly serving: Participant[]
}

/** The aliases that lead to somebody. Goes once over who is there, since an alias may lead to all that all of them offer. */
function servingByAlias(present: readonly Participant[], aliases: Aliases, onOffer: Set<string>): ServedAlias[] {
  const served = Array.from(aliases.keys(), (name) => servedAlias(name, aliases, onOffer))
  const byModel = new Map(Array.from(onOffer, (name) => [name, [] as ServedAlias[]]))
  for (const alias of served) {
    const names = alias.models.flatMap((model) => (onOffer.has(model) ? [model] : spellingsOf(model)))
    for (const name of new Set(names)) byModel.get(name)?.push(alias)
  }
  for (const participant of present) {
    for (const model of participant.models) {
      for (const { serving } of byModel.get(model) ?? []) if (serving.at(-1) !== participant) serving.push(participant)
    }
  }
  return served.filter(({ name, serving }) => serving.length > 0 && !onOffer.has(name))
}

function servedAlias(name: string, aliases: Aliases, onOffer: Set<string>): ServedAlias {
  const isModel = (each: string) => onOffer.has(each) || !aliases.has(each)
  return { name, models: followAlias(name, aliases, isModel).filter(isModel), serving: [] }
}

function byAliasOf({ name, models, serving }: ServedAlias): Static<typeof Model> {
  const participants = serving.map(({ id }) => id)
  return {
    id: name,
    object: 'model',
    created: seconds(serving),
    owned_by: OWNER,
    potluck: { kind: 'alias', participants, models: [...models] },
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
