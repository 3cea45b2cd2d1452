import { type Static, Type } from '@sinclair/typebox'
import { LIMITS } from './limits.ts'
import { Absent, Text } from './text.ts'

const Budget = (description: string) => Type.Integer({ minimum: 1, maximum: 1_000_000_000, description })
const RequestsPerMinute = Budget('Requests of inference a minute; absent: no limit')
const TokensPerDay = Budget('Input and output tokens a day (UTC); absent: no limit')

export const CreateKeyBody = Type.Object(
  {
    name: Text(LIMITS.name, 'Whose it is'),
    requestsPerMinute: Absent(RequestsPerMinute),
    tokensPerDay: Absent(TokensPerDay),
  },
  { additionalProperties: false, 'x-missing': 'Name is required', examples: [{ name: 'Bob', requestsPerMinute: 30 }] },
)

export const Key = Type.Object({
  id: Type.String(),
  name: Type.String(),
  createdAt: Type.Integer({ description: 'ms since the epoch' }),
  requestsPerMinute: Type.Optional(RequestsPerMinute),
  tokensPerDay: Type.Optional(TokensPerDay),
})

export const CreatedKey = Type.Composite([
  Key,
  Type.Object({ key: Type.String({ description: 'What its holder sends as API key; shown this once' }) }),
])

export const KeyList = Type.Object({ keys: Type.Array(Key) })

export const KeyParams = Type.Object({
  code: Type.String({ description: 'Room code, in any case', examples: ['K7QX2M'] }),
  id: Type.String({ description: "The key's id", examples: ['V1StGXR8_Z5j'] }),
})

export const Usage = Type.Object({
  id: Type.String(),
  name: Type.String(),
  requests: Type.Integer({ description: 'Since the hub was started, as the next two' }),
  inputTokens: Type.Integer(),
  outputTokens: Type.Integer(),
  tokensToday: Type.Integer({ description: 'Since midnight UTC' }),
})
export type Usage = Static<typeof Usage>
