import { type Static, Type } from '@sinclair/typebox'
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

export const CreateRoomBody = Type.Object(
  {
    name: Text(LIMITS.name, 'Shown to everybody'),
    password: Absent(Type.String({ maxLength: LIMITS.password, description: 'null or empty: none' })),
    defaults: Absent(GenerationConfigInput),
  },
  { 'x-missing': 'Name is required' },
)
export type CreateRoomBody = Static<typeof CreateRoomBody>
