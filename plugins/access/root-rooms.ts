import { RoomNotNamed } from '../../schemas/errors.ts'
import type { RoomRecord, RoomStore } from '../room-store/store.ts'

export interface RoomKey {
  readonly code: string
  /** What is left for the room itself: its password, or a key of it. */
  readonly credential?: string
}

/**
 * What people write where a client insists on a key and none is needed. A room of such a name would get everybody's
 * requests: it can be named all the same, by a colon behind it (`OLLAMA:`).
 */
const PLACEHOLDERS: ReadonlySet<string> = new Set(
  ['123456', 'abc123', 'anykey', 'anything', 'apikey', 'changeme', 'default', 'demo', 'dummy', 'empty', 'fake', 'false']
    .concat(['foobar', 'litellm', 'llamacpp', 'lmstudio', 'local', 'localai', 'nokey', 'none', 'noneeded', 'notneeded'])
    .concat(['notrequired', 'notused', 'null', 'ollama', 'openai', 'password', 'placeholder', 'potluck', 'required'])
    .concat(['secret', 'test', 'token', 'true', 'undefined', 'unused', 'vllm', 'whatever', 'xxxx', 'yourkey'])
    .map((text) => text.toUpperCase()),
)

/** A room's code, alone or with what is sent to it; or a personal key, which has the code in it. */
export function readRoomKey(credential: string): RoomKey | undefined {
  const personal = /^potluck-([A-Za-z0-9]{4,12})-/.exec(credential)?.[1]
  if (personal !== undefined) return { code: personal, credential }
  const [, code, rest] = /^([A-Za-z0-9]{4,12})(?::(.*))?$/s.exec(credential) ?? []
  if (code === undefined || (rest === undefined && PLACEHOLDERS.has(code.toUpperCase()))) return undefined
  return rest === undefined || rest === '' ? { code } : { code, credential: rest }
}

export interface ChosenRoom {
  readonly room: RoomRecord
  readonly credential?: string
}

export interface RootRoomsOptions {
  rooms: Pick<RoomStore, 'visitRoom' | 'listRooms'>
  /** Its code; empty: none. */
  defaultRoom: string
}

export type RootRooms = ReturnType<typeof createRootRooms>

/** Which room a client means that knows only a host. */
export function createRootRooms({ rooms, defaultRoom }: RootRoomsOptions) {
  /** Of those that are listed: one that is found by its code alone is not found without it. */
  async function onlyRoom(at: number): Promise<RoomRecord | undefined> {
    const { rooms: listed, cursor } = await rooms.listRooms({ limit: 1 })
    const [only] = listed
    return only === undefined || cursor !== undefined ? undefined : rooms.visitRoom(only.code, at)
  }

  return {
    /**
     * The room that the key names, else the default one, else the only one there is.
     * @throws PTL_ROOM_NOT_NAMED
     */
    async choose(credential: string | undefined, at: number): Promise<ChosenRoom> {
      const named = credential === undefined ? undefined : readRoomKey(credential)
      const room = named === undefined ? undefined : await rooms.visitRoom(named.code, at)
      if (named !== undefined && room !== undefined) {
        return { room, ...(named.credential === undefined ? {} : { credential: named.credential }) }
      }
      const other = defaultRoom === '' ? await onlyRoom(at) : await rooms.visitRoom(defaultRoom, at)
      if (other === undefined) throw new RoomNotNamed()
      return { room: other, ...(credential === undefined ? {} : { credential }) }
    },
  }
}
