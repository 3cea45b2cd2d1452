import { spellingsOf } from '../../schemas/models.ts'
import { withinLimits } from './llm/server.ts'

/** Of what a server has, what is offered: all, or what was chosen, by Ollama's rule for names without a tag. */
export function offered(models: readonly string[], chosen: readonly string[]): string[] {
  if (chosen.length === 0) return withinLimits(models)
  const wanted = chosen.flatMap((name) => models.filter((model) => spellingsOf(name).includes(model)))
  return withinLimits([...new Set(wanted)])
}

/** What was chosen and is on none of these servers. */
export function missing(servers: readonly { models: readonly string[] }[], chosen: readonly string[]): string[] {
  const all = servers.flatMap(({ models }) => models)
  return chosen.filter((name) => !spellingsOf(name).some((spelling) => all.includes(spelling)))
}
