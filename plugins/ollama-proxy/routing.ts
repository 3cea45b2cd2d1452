import { type Aliases, followAlias } from '../../schemas/aliases.ts'
import {
  AliasLeadsNowhere,
  ManagementRefused,
  ManagerUnclear,
  NoParticipant,
  ParticipantNotFound,
  ParticipantOffline,
  ParticipantPaused,
  ResponseNotFound,
} from '../../schemas/errors.ts'
import { MODEL_PREFIX, meansAny, spellingsOf, withoutImpliedTag } from '../../schemas/models.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
import type { Maker } from './makers.ts'

/** A participant that could serve the request, and the model that it would serve it with. */
export interface Candidate {
  readonly record: ParticipantRecord
  readonly model: string
}

/**
 * Who could answer a request for `model`, here or away: `*`, `any` or nothing → anybody; `model:<name>` → who offers that
 * model; otherwise a model's exact name, then an alias, then with Ollama's implied `:latest`, then a participant's id.
 * @returns groups in order of preference: one, or of an alias one for each name that it leads to
 */
export function findMatches(model: string, records: readonly ParticipantRecord[], aliases: Aliases): Candidate[][] {
  if (meansAny(model)) return [records.map(withFirstModel)]
  if (model.startsWith(MODEL_PREFIX)) return [offering(model.slice(MODEL_PREFIX.length), records)]
  if (aliases.has(model)) return alongAlias(model, records, aliases)
  const byModel = offering(model, records)
  return byModel.length > 0
    ? [byModel]
    : [records.filter(({ participant }) => participant.id === model).map(withFirstModel)]
}

/**
 * Of these, who can be asked now.
 * @returns groups as `findMatches` has them, none of them empty
 * @throws PTL_NO_PARTICIPANT, or PTL_PARTICIPANT_OFFLINE where all who could are away, or
 * PTL_PARTICIPANT_PAUSED where those who are not have paused
 */
export function findCandidates(
  model: string,
  records: readonly ParticipantRecord[],
  aliases: Aliases,
): [Candidate[], ...Candidate[][]] {
  const groups = findMatches(model, records, aliases)
  const able = groups.map((group) => group.filter(isAble)).filter(({ length }) => length > 0)
  const [first, ...others] = able
  if (first === undefined) throw refusalOf(model, groups.flat(), aliases)
  return [first, ...others]
}

function refusalOf(model: string, matching: readonly Candidate[], aliases: Aliases): Error {
  if (matching.some(({ record }) => isPresent(record))) return new ParticipantPaused()
  if (meansAny(model)) return new NoParticipant()
  if (matching.length > 0) return new ParticipantOffline()
  return aliases.has(model) ? new AliasLeadsNowhere(model) : new NoParticipant()
}

function isAble({ record }: Candidate): boolean {
  return isPresent(record) && record.participant.paused !== true
}

function withFirstModel(record: ParticipantRecord): Candidate {
  return { record, model: record.participant.model }
}

/** Exact names first; Ollama's implied tag where nobody who is there has the exact one. */
function offering(name: string, records: readonly ParticipantRecord[]): Candidate[] {
  const exact = records.filter(({ participant }) => participant.models.includes(name))
  if (exact.some(isPresent)) return exact.map((record) => ({ record, model: name }))
  const bare = withoutImpliedTag(name)
  return records.flatMap((record) => {
    const model = record.participant.models.find((offered) => withoutImpliedTag(offered) === bare)
    return model === undefined ? [] : [{ record, model }]
  })
}

function isPresent({ participant }: ParticipantRecord): boolean {
  return participant.status !== 'offline'
}

/** A group for each name that the alias leads to, in order of preference; nobody comes twice with the same model. */
function alongAlias(alias: string, records: readonly ParticipantRecord[], aliases: Aliases): Candidate[][] {
  const names = followAlias(alias, aliases, () => false)
  const offers = offersOf(new Set(names.flatMap(spellingsOf)), records)
  const isOnOffer = (name: string) => offers.get(name)?.some(({ record }) => isPresent(record)) ?? false
  const grouped = new Set<string>()
  return followAlias(alias, aliases, isOnOffer).map((name) => {
    const meant = aliases.has(name) || isOnOffer(name) ? [name] : spellingsOf(name)
    const fresh = meant.filter((spelling) => !grouped.has(spelling))
    for (const spelling of fresh) grouped.add(spelling)
    return fresh.flatMap((spelling) => offers.get(spelling) ?? [])
  })
}

/** Who offers each of these models. Goes once over the records, since an alias may lead to very many names. */
function offersOf(names: ReadonlySet<string>, records: readonly ParticipantRecord[]): Map<string, Candidate[]> {
  const offers = new Map(Array.from(names, (name) => [name, [] as Candidate[]]))
  for (const record of records)
    for (const model of record.participant.models) offers.get(model)?.push({ record, model })
  return offers
}

/**
 * Who made what a request comes back to; it also does so while it has paused, since nothing new is asked.
 * @throws PTL_RESPONSE_NOT_FOUND, PTL_PARTICIPANT_OFFLINE
 */
export function makerOf(
  maker: Maker | undefined,
  id: string | undefined,
  records: readonly ParticipantRecord[],
): Candidate {
  const record = maker?.kind === 'known' ? records.find(({ key }) => key === maker.key) : undefined
  if (record === undefined) throw new ResponseNotFound((id ?? '').slice(0, 200))
  if (!isPresent(record)) throw new ParticipantOffline()
  return withFirstModel(record)
}

/**
 * Whose models are to be changed: the one that is named, else the only one that allows it.
 * @throws PTL_MANAGEMENT_REFUSED, PTL_MANAGER_UNCLEAR, PTL_PARTICIPANT_NOT_FOUND, PTL_PARTICIPANT_OFFLINE
 */
export function findManager(named: string | undefined, records: readonly ParticipantRecord[]): Candidate {
  const meant = named === undefined ? records : records.filter(({ participant }) => participant.id === named)
  if (named !== undefined && meant.length === 0) throw new ParticipantNotFound()
  const [first, ...others] = meant.filter(({ participant }) => participant.manage === true)
  if (first === undefined) throw new ManagementRefused()
  if (others.length > 0) throw new ManagerUnclear()
  if (!isPresent(first)) throw new ParticipantOffline()
  return withFirstModel(first)
}
