import { randomInt } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { LIMITS } from '../../schemas/limits.ts'
import type { LlmKind } from './llm/server.ts'

/** Who somebody is unless told otherwise: the user's name, which a container may not have. */
export function defaultNickname(): string {
  return (userName() || hostname() || 'somebody').slice(0, LIMITS.nickname)
}

function userName(): string {
  try {
    const { username } = userInfo()
    // In containers and on servers everybody is called that.
    return username === 'root' ? '' : username
  } catch {
    return ''
  }
}

/** A name that says whose and what: `alice-ollama`. */
export function idFor(nickname: string, kind: LlmKind): string {
  const name = slug(nickname) || 'somebody'
  return `${name.slice(0, LIMITS.participantId - kind.length - 1 - SUFFIX_LENGTH)}-${kind}`
}

function slug(text: string): string {
  const plain = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  return plain.replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '')
}

/** Without look-alikes. */
const LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'
const SUFFIX_LENGTH = 5

/** Where somebody else has that name. */
export function anotherId(id: string): string {
  const letters = Array.from({ length: SUFFIX_LENGTH - 1 }, () => LETTERS[randomInt(LETTERS.length)])
  return `${id}-${letters.join('')}`
}
