import { timingSafeEqual } from 'node:crypto'
import { IdIsModel, ModelIsId } from '../../schemas/errors.ts'
import { sameModel } from '../../schemas/models.ts'
import type { Claim, NewParticipant, Owner, ParticipantRecord } from './store.ts'

/** Both are SHA-256 in hex, so of one length unless a record is broken. */
export function sameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}

export function ownsByToken(owner: Owner, claim: Claim): boolean {
  return claim.tokenHash !== undefined && sameHash(owner.tokenHash, claim.tokenHash)
}

/** Clients of the base contract know no tokens: the address they joined from speaks for them, until the token is used once. */
function ownsByAddress(owner: Owner, claim: Claim): boolean {
  return !owner.tokenUsed && owner.address !== undefined && owner.address === claim.address
}

export function owns(owner: Owner, claim: Claim): boolean {
  return ownsByToken(owner, claim) || ownsByAddress(owner, claim)
}

/** The owner after `claim` was accepted: a token that was used once is needed from then on. */
export function afterUse(owner: Owner, claim: Claim): Owner {
  return !owner.tokenUsed && ownsByToken(owner, claim) ? { ...owner, tokenUsed: true } : owner
}

/** An id that equals a model on offer would capture the traffic of that model, and a model that equals an id that of its owner. */
export function refuseCapture(entry: NewParticipant, present: Iterable<ParticipantRecord>): void {
  const { id, model } = entry.participant
  if (sameModel(id, model)) throw new IdIsModel(id)
  for (const { participant } of present) {
    if (participant.id === id) continue
    if (sameModel(id, participant.model)) throw new IdIsModel(id)
    if (sameModel(model, participant.id)) throw new ModelIsId(model)
  }
}
