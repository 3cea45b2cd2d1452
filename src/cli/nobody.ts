import { MODEL_PREFIX, meansAny, withoutImpliedTag } from '../../schemas/models.ts'
import type { Participant } from '../../schemas/participant.ts'
import type { Client } from '../client/client.ts'
import { Failure } from './exit-codes.ts'
import { called } from './invocation.ts'
import { oneLine } from './output.ts'

const NOBODY = new Set(['PTL_NO_PARTICIPANT', 'PTL_PARTICIPANT_OFFLINE', 'PTL_PARTICIPANT_PAUSED'])

/** Names that a message lists. */
const MAX_LISTED = 10

interface Asked {
  code: string
  model: string | undefined
  credential: string | undefined
}

/** Why nobody answers, and what would help: what the hub says must do for every client. */
export async function explainNobody(error: unknown, hub: Client, asked: Asked): Promise<unknown> {
  if (!NOBODY.has((error as { code?: string }).code ?? '')) return error
  const { code, credential } = asked
  try {
    const [all, { aliases = {} }] = await Promise.all([hub.participants(code, { credential }), hub.room(code)])
    return failureFor(asked, all, Object.keys(aliases)) ?? error
  } catch {
    return error
  }
}

function failureFor({ code, model }: Asked, all: readonly Participant[], aliases: string[]): Failure | undefined {
  if (all.length === 0)
    return new Failure('noModel', `Nobody is in ${code} yet: bring a model by \`${called(`join ${code}`)}\``)
  // Where an alias leads, the hub knows.
  if (aliases.includes(model ?? '')) return undefined
  const meant = all.filter((participant) => isMeant(participant, model))
  const there = thereAre([...new Set(all.filter(isHere).flatMap(({ models }) => models)), ...aliases])
  if (meant.length === 0)
    return new Failure('noModel', `Nobody in ${code} offers ${oneLine(model ?? 'a model')}. ${there}`)
  // Meanwhile somebody came.
  if (meant.some(isHere)) return undefined
  const who = meant.map(({ id, status }) => `${id} ${status === 'offline' ? 'is offline' : 'has paused'}`)
  return new Failure('tryLater', `Nobody can answer now: ${listed(who)}. ${there}`)
}

/** By the hub's rules: any, a model's name with Ollama's implied tag or without it, or a participant's id. */
function isMeant({ id, models }: Participant, model: string | undefined): boolean {
  if (model === undefined || meansAny(model)) return true
  const name = withoutImpliedTag(model.startsWith(MODEL_PREFIX) ? model.slice(MODEL_PREFIX.length) : model)
  return id === model || models.some((each) => withoutImpliedTag(each) === name)
}

function isHere({ status, paused }: Participant): boolean {
  return status !== 'offline' && paused !== true
}

function thereAre(names: readonly string[]): string {
  return names.length === 0 ? 'No model is there now' : `There are ${listed(names)}`
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_LISTED
  return names.slice(0, MAX_LISTED).map(oneLine).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
