import { NoParticipant, ParticipantOffline, ParticipantPaused } from '../../schemas/errors.ts'
import { MODEL_PREFIX, meansAny, withoutImpliedTag } from '../../schemas/models.ts'
import type { ParticipantRecord } from '../room-store/store.ts'

/** A participant that could serve the request, and the model that it would serve it with. */
export interface Candidate {
  readonly record: ParticipantRecord
  readonly model: string
}

/**
 * Who could answer a request for `model`: `*`, `any` or nothing → anybody; `model:<name>` → who offers that model;
 * otherwise a model's exact name, then with Ollama's implied `:latest`, then a participant's id.
 * @throws PTL_NO_PARTICIPANT, or PTL_PARTICIPANT_OFFLINE where all who could are away, or
 * PTL_PARTICIPANT_PAUSED where those who are not have paused
 */
export function findCandidates(model: string, records: readonly ParticipantRecord[]): Candidate[] {
  const matching = matches(model, records)
  if (matching.length === 0) throw new NoParticipant()
  const present = matching.filter(({ record }) => isPresent(record))
  if (present.length === 0) throw meansAny(model) ? new NoParticipant() : new ParticipantOffline()
  const able = present.filter(({ record }) => record.participant.paused !== true)
  if (able.length === 0) throw new ParticipantPaused()
  return able
}

function matches(model: string, records: readonly ParticipantRecord[]): Candidate[] {
  if (meansAny(model)) return records.map(withFirstModel)
  if (model.startsWith(MODEL_PREFIX)) return offering(model.slice(MODEL_PREFIX.length), records)
  const byModel = offering(model, records)
  return byModel.length > 0
    ? byModel
    : records.filter(({ participant }) => participant.id === model).map(withFirstModel)
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
