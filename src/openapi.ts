import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const TAGS = [
  { name: 'Rooms', description: 'A named scope with a short code; every request targets one' },
  { name: 'Participants', description: 'LLM servers that were brought into a room' },
  {
    name: 'Inference',
    description: "What the room's clients ask; errors have the shape that the API's own clients parse",
  },
  { name: 'Keys', description: 'Personal keys that the host gives out, with budgets' },
  { name: 'Events', description: 'What happens, live' },
  { name: 'Hub', description: 'The server itself' },
]

/** The description is made from the routes' own schemas, so it can't say what the hub does not do. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Potluck',
        version,
        description: 'The hub that lets people on one LAN share the LLMs that run on their own machines.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: "A host's or a participant's token" },
        },
      },
    },
  })
  // The page, its scripts and its styles come from the hub itself: no internet is needed.
  await app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { docExpansion: 'list', tryItOutEnabled: true } })
}
