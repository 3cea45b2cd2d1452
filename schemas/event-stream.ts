import { Type } from '@sinclair/typebox'
import { EVENTS, type EventType } from './events.ts'

export const EventsQuery = Type.Object({
  lastEventId: Type.Optional(Type.String({ description: 'Like the Last-Event-ID header: replay starts behind it' })),
})

export const RoomEventsQuery = Type.Composite([
  EventsQuery,
  Type.Object({
    ticket: Type.Optional(Type.String({ description: 'Instead of a password, which has no place in a URL' })),
  }),
])

/** What `GET /events` carries. */
export const HUB_EVENTS: readonly EventType[] = ['connected', 'gap', 'room:created', 'room:updated', 'room:closed']

/** What a room's own stream carries: everything. */
export const ROOM_EVENTS = Object.keys(EVENTS) as EventType[]

const FORMAT = `Each event is a frame of \`id:\`, \`event:\` and \`data:\` (one line of JSON). The first is \`connected\`. A client that
comes back with \`Last-Event-ID\` (header, or \`lastEventId\` in the query) gets what it missed, or \`gap\` where that is not
kept any more: then read the state anew. Comment lines keep the connection alive. No event carries a prompt or an answer.`

export const ROOM_STREAM = `${FORMAT} Besides its own events a room's stream carries \`room:created\` of every listed room.`
export const HUB_STREAM = `${FORMAT} Only rooms that are listed, and none of what happens inside them.`

/** The response of an event stream for OpenAPI, with the schema of each event's data in \`x-events\`. */
export function EventStream(types: readonly EventType[]) {
  const events = Object.fromEntries(types.map((type) => [type, EVENTS[type]]))
  const example = 'id: 5nQzV1StGXR8.1.2\nevent: participant:left\ndata: {"participantId":"alice-laptop"}\n\n'
  const schema = {
    type: 'string',
    description: `Frames of: ${types.join(', ')}`,
    'x-events': events,
    examples: [example],
  }
  return { description: 'An endless stream of events', content: { 'text/event-stream': { schema } } }
}
