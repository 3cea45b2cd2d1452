import { Type } from '@sinclair/typebox'

export const EventsQuery = Type.Object({
  lastEventId: Type.Optional(Type.String({ description: 'Like the Last-Event-ID header: replay starts behind it' })),
})
