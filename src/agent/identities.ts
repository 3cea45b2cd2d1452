import { createHash } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Lock, takeLock } from './lock.ts'
import { makeDirectory, readJson, writeJson } from './private-files.ts'

/** What makes a participant the same one again. */
export interface Place {
  /** URL of the hub. */
  readonly hub: string
  /** Of the room, in upper case. */
  readonly code: string
  /** URL of the LLM server. */
  readonly server: string
}

export interface Identity extends Place {
  readonly id: string
  readonly nickname: string
  readonly token: string
  /** It was about to leave: what paused it was no wish of its owner's. */
  readonly isLeaving?: boolean
}

export interface Identities {
  load(place: Place): Promise<Identity | undefined>
  save(identity: Identity): Promise<void>
  /** Where it holds that token, so that nobody else's is thrown away. */
  remove(identity: Identity): Promise<void>
  /** All of this machine's. */
  list(): Promise<Identity[]>
  /** One process at a time is a participant. @throws PlaceTaken */
  claim(place: Place): Promise<Lock>
}

/** In files that only their owner can read, one a participant. */
export function openIdentities(directory: string): Identities {
  const folder = join(directory, 'participants')
  const fileOf = (place: Place) => join(folder, `${keyOf(place)}.json`)

  return {
    async load(place) {
      const identity = await readJson<Identity>(fileOf(place))
      return isIdentity(identity) && keyOf(identity) === keyOf(place) ? identity : undefined
    },
    save: (identity) => writeJson(fileOf(identity), identity),
    async remove(identity) {
      const current = await readJson<Identity>(fileOf(identity))
      if (current?.token === identity.token) await rm(fileOf(identity), { force: true })
    },
    async list() {
      const names = await readdir(folder).catch(() => [])
      const files = names.filter((name) => name.endsWith('.json')).sort()
      const read = await Promise.all(files.map((name) => readJson<Identity>(join(folder, name))))
      return read.filter(isIdentity)
    },
    async claim(place) {
      await makeDirectory(directory)
      await makeDirectory(folder)
      return takeLock(join(folder, `${keyOf(place)}.lock`))
    },
  }
}

function keyOf({ hub, code, server }: Place): string {
  return createHash('sha256')
    .update(JSON.stringify([hub, code, server]))
    .digest('hex')
    .slice(0, 32)
}

function isIdentity(value: unknown): value is Identity {
  const { hub, code, server, id, nickname, token } = (value ?? {}) as Partial<Record<keyof Identity, unknown>>
  return [hub, code, server, id, nickname, token].every((text) => typeof text === 'string' && text !== '')
}
