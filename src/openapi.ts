import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { isForEverybody, mayDo, type Operation } from '../plugins/access/operations.ts'

const TAGS = [
  { name: 'Rooms', description: 'A named scope with a short code; every request targets one' },
  { name: 'Participants', description: 'LLM servers that were brought into a room' },
  {
    name: 'Inference',
    description:
      "What the room's clients ask; errors have the shape that the API's own clients parse. For clients that know only a host the same paths are served at the root, `/v1/…` and `/api/…`: by the room that the API key names (`CODE`, `CODE:password` or a personal key), else the default room, else the only one that is listed",
  },
  { name: 'Keys', description: 'Personal keys that the host gives out, with budgets' },
  { name: 'Events', description: 'What happens, live' },
  { name: 'Hub', description: 'The server itself' },
]

const bearer = (description: string) => ({ type: 'http' as const, scheme: 'bearer', description })

/** One header for all; what differs is whose it is. */
const SECURITY_SCHEMES = {
  room: bearer("The room's password, a personal key of it, or the token of its host or of a participant"),
  participant: bearer('The token of the participant itself, which its join returned'),
  key: bearer('A personal key of the room'),
  host: bearer("The token of the room's host, which opening it returned"),
  admin: bearer('The admin token, where the hub has one'),
}

/** What the table of operations says; a route that checks more says so itself. */
function securityOf(operation: Operation): Record<string, string[]>[] {
  if (mayDo(operation, 'guest')) return [{}, { room: [] }]
  return mayDo(operation, 'host') ? [{ host: [] }] : [{}, { admin: [] }]
}

const RETRY_AFTER = { 'Retry-After': { type: 'integer', description: 's' } }

/** How asking who somebody is can fail. */
const OF_A_ROOM = {
  400: { description: 'Not usable as it is: the error says why' },
  401: { description: 'No credential, or a wrong one' },
  429: { description: 'Too many wrong passwords from your address', headers: RETRY_AFTER },
  503: { description: 'The hub is too busy to check a password, or shuts down', headers: RETRY_AFTER },
}
const OF_THE_HUB = { 401: OF_A_ROOM[401] }

/** Who may, and what becomes of who may not: by the table that decides it, so that no route can forget to say so. */
function withAccess(schema: FastifySchema, operation: Operation): FastifySchema {
  if (isForEverybody(operation)) return schema
  const answers = schema.response as Record<number, object>
  const failures = mayDo(operation, 'host') ? OF_A_ROOM : OF_THE_HUB
  // A failure has the shape that the route's other failures have.
  const shape = answers[404] ?? answers[400]
  const ofAccess = Object.entries(failures).map(([status, failure]) => {
    return [status, { ...shape, ...failure, ...answers[Number(status)] }]
  })
  const response = { ...answers, ...Object.fromEntries(ofAccess) }
  return { ...schema, security: schema.security ?? securityOf(operation), response }
}

interface Described {
  paths?: Record<string, Record<string, { requestBody?: { required?: boolean; content: Record<string, Media> } }>>
}
interface Media {
  schema?: { required?: string[]; additionalProperties?: boolean }
}

/** No body is as good as an empty object, so it may be absent where no field is required; of inference it must be there. */
function withOptionalBodies<T>(document: T): T {
  const operations = Object.values((document as Described).paths ?? {}).flatMap((path) => Object.values(path))
  for (const { requestBody } of operations) {
    const schema = requestBody?.content['application/json']?.schema
    if (requestBody === undefined || schema === undefined) continue
    requestBody.required = schema.required !== undefined || schema.additionalProperties === true
  }
  return document
}

/** The description is made from the routes' own schemas, so it can't say what the hub does not do. */
export async function describeApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Potluck',
        version,
        description: `The hub that lets people on one LAN share the LLMs that run on their own machines. A credential is sent as
\`Authorization: Bearer …\`, or as \`x-api-key\`. In an open room none is needed, and an unknown one is ignored.`,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: TAGS,
      components: {
        securitySchemes: SECURITY_SCHEMES,
      },
    },
    transform({ schema, url, route }) {
      const operation = route.config?.operation
      return { schema: operation === undefined ? schema : withAccess(schema, operation), url }
    },
    transformObject: (made) => withOptionalBodies('openapiObject' in made ? made.openapiObject : {}),
  })
  // The page, its scripts and its styles come from the hub itself: no internet is needed.
  await app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { docExpansion: 'list', tryItOutEnabled: true } })
}
