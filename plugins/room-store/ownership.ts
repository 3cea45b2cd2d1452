import { IdIsModel, ModelIsId } from '../../schemas/errors.ts'
import { sameHash } from '../../schemas/hashes.ts'
import { IMPLIED_TAG, withoutImpliedTag } from '../../schemas/models.ts'
import type { Participant } from '../../schemas/participant.ts'
import type { Claim, Owner } from './store.ts'

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

/** The names in a room, as far as a newcomer's may clash with them. Models count without Ollama's implied `:latest`. */
export interface NamesInUse {
  offersModel(bareName: string): boolean
  hasParticipant(id: string): boolean
}

/**
 * An id that equals a model on offer would capture the traffic of that model, and a model that equals an id that of its
 * owner.
 */
export function refuseCapture({ id, models }: Participant, room: NamesInUse): void {
  const bareId = withoutImpliedTag(id)
  if (room.offersModel(bareId) || models.some((model) => withoutImpliedTag(model) === bareId)) throw new IdIsModel(id)
  const captured = models.find((model) => {
    const bare = withoutImpliedTag(model)
    return room.hasParticipant(bare) || room.hasParticipant(`${bare}${IMPLIED_TAG}`)
  })
  if (captured !== undefined) throw new ModelIsId(captured)
}
