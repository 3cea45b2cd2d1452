import { type Static, Type } from '@sinclair/typebox'
import { AliasesInput, ShownAliases } from './aliases.ts'
import { LIMITS } from './limits.ts'
import { GenerationConfigInput } from './participant.ts'
import { Absent, Text } from './text.ts'

/** Any form is read (a code that is no room's is a 404, not a 400); the case of letters does not matter. */
export const RoomParams = Type.Object({
  code: Type.String({ description: 'Room code, in any case', examples: ['K7QX2M'] }),
})

/** A room as everybody sees it; no secret has a place in it. */
export const Room = Type.Object({
  id: Type.String({ description: 'nanoid' }),
  code: Type.String({ description: 'What people type to find the room', examples: ['K7QX2M'] }),
  name: Type.String({ examples: ['Friday hackathon'] }),
  hostId: Type.String({ description: 'UUID of who created the room; a name, it proves nothing' }),
  createdAt: Type.Integer({ description: 'ms since the epoch' }),
})
export type Room = Static<typeof Room>

export const ListedRoom = Type.Composite([Room, Type.Object({ participantCount: Type.Integer() })])
export type ListedRoom = Static<typeof ListedRoom>

/** A room as who asks for it by its code sees it. */
export const RoomView = Type.Composite([
  ListedRoom,
  Type.Object({
    protected: Type.Boolean({ description: 'It has a password' }),
    listed: Type.Boolean({ description: 'false: found by its code alone' }),
    aliases: ShownAliases,
  }),
])
export type RoomView = Static<typeof RoomView>

export const OneRoom = Type.Object({ room: RoomView })

const CustomCode = Type.String({
  pattern: '^[A-Za-z0-9]{4,12}$',
  description: 'Kept in upper case; a room with a code of its own choice does not expire',
  'x-expects': '4 to 12 of A–Z and 0–9',
})

const Password = Type.String({ maxLength: LIMITS.password, description: 'null or empty: none' })

export const CreateRoomBody = Type.Object(
  {
    name: Text(LIMITS.name, 'Shown to everybody'),
    password: Absent(Password),
    code: Absent(CustomCode),
    listed: Absent(Type.Boolean({ description: 'false: found by its code alone, never announced' })),
    defaults: Absent(GenerationConfigInput),
  },
  { 'x-missing': 'Name is required', examples: [{ name: 'Friday hackathon' }] },
)
export type CreateRoomBody = Static<typeof CreateRoomBody>

export const RoomPatch = Type.Object(
  {
    name: Type.Optional(Text(LIMITS.name, 'Shown to everybody')),
    password: Absent(Password),
    listed: Type.Optional(Type.Boolean()),
    defaults: Absent(GenerationConfigInput),
    aliases: Absent(AliasesInput),
  },
  {
    additionalProperties: false,
    examples: [
      { name: 'Saturday hackathon', defaults: { temperature: 0.2 } },
      { aliases: { 'gpt-4o': ['qwen3:32b', 'llama3.2:3b'], 'gpt-4o-mini': 'llama3.2:3b' } },
    ],
  },
)
export type RoomPatch = Static<typeof RoomPatch>

export const MAX_PAGE = 1000

export const RoomsQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: 'Rooms a page; absent: all' })),
  cursor: Type.Optional(Type.String({ description: 'From the page before' })),
})

export const RoomsPage = Type.Object({
  rooms: Type.Array(ListedRoom),
  cursor: Type.Optional(Type.String({ description: 'Of the next page; absent on the last one' })),
})
