import { type TSchema, Type } from '@sinclair/typebox'
import t from 'tap'
import { LIMITS } from '../../schemas/limits.ts'
import { HeartbeatBody, JoinBody, ParticipantPatch } from '../../schemas/participant.ts'
import { CreateRoomBody, RoomPatch, RoomsQuery } from '../../schemas/room.ts'
import { compileValidator } from '../../schemas/validation.ts'

interface Refusal {
  message: string
  code: string
  statusCode: number
}

/** The error for a body, or undefined where it is taken. */
function refusalOf(schema: TSchema, body: unknown, httpPart = 'body'): Refusal | undefined {
  const result = compileValidator({ schema, httpPart })(body)
  return 'error' in result ? (result.error as unknown as Refusal) : undefined
}

const sentence = (schema: TSchema, body: unknown) => refusalOf(schema, body)?.message

const JOIN = { id: 'alice', nickname: 'Alice', model: 'm', endpoint: 'http://127.0.0.1:1' }
const JOIN_MISSING = 'Missing required fields: id, nickname, model, endpoint'

t.test('what the base contract requires is named in its own words', async (t) => {
  t.match(refusalOf(CreateRoomBody, {}), { message: 'Name is required', code: 'PTL_MISSING_FIELDS', statusCode: 400 })
  t.equal(sentence(HeartbeatBody, {}), 'Participant ID is required')
  for (const field of ['id', 'nickname'])
    t.equal(sentence(JoinBody, { ...JOIN, [field]: undefined }), JOIN_MISSING, field)
})

t.test('absent, null and blank are the same to it, and so is no body at all', async (t) => {
  for (const name of [undefined, null, '', ' ', '\t\n']) t.equal(sentence(CreateRoomBody, { name }), 'Name is required')
  for (const body of [undefined, null, {}, []])
    t.equal(sentence(CreateRoomBody, body), 'Name is required', JSON.stringify(body))
})

t.test('a body of another kind is told apart', async (t) => {
  for (const body of ['x', 7, true]) t.equal(sentence(CreateRoomBody, body), 'The body must be a JSON object')
})

t.test('bodies are taken as they are', async (t) => {
  const text = `a text of 1 to ${LIMITS.name} characters without control characters`
  for (const name of [12, true, ['x'], { a: 1 }]) t.equal(sentence(CreateRoomBody, { name }), `name must be ${text}`)
  t.match(refusalOf(CreateRoomBody, { name: 12 }), { code: 'PTL_INVALID_FIELD', statusCode: 400 })
  t.equal(sentence(HeartbeatBody, { id: 12 }), 'id must be a string')
})

t.test('other parts are strings by nature, and converted', async (t) => {
  const result = compileValidator({ schema: RoomsQuery, httpPart: 'querystring' })({ limit: '5' })
  t.strictSame(result, { value: { limit: 5 } })
  t.match(refusalOf(RoomsQuery, { limit: 'x' }, 'querystring')?.message, /^limit must be a whole number from 1 to \d+$/)
  t.match(refusalOf(RoomsQuery, { limit: '0' }, 'querystring')?.message, /^limit must be/)
})

t.test('a text is measured and must not hold controls', async (t) => {
  for (const name of ['x'.repeat(LIMITS.name + 1), 'a\nb', 'a\u0000', '\u007f', '\u0085', 'a\u2028b', '\u001b[31m']) {
    t.match(
      sentence(CreateRoomBody, { name }),
      /^name must be a text of 1 to 80 characters/,
      JSON.stringify(name.slice(0, 9)).replaceAll(/[^ -~]/g, '?'),
    )
  }
  for (const name of ['x', 'x'.repeat(LIMITS.name), 'Ünïcödé 🍲', '<b>\'"&'])
    t.equal(sentence(CreateRoomBody, { name }), undefined)
})

t.test('an id stands alone in a path', async (t) => {
  for (const id of ['a', 'a.b', '...', '-', 'A_b:c-1', 'a'.repeat(64)])
    t.equal(sentence(JoinBody, { ...JOIN, id }), undefined, id)
  for (const id of ['.', '..', 'a b', 'a/b', 'é', '%2e', 'a\n', 'a'.repeat(65)]) {
    t.match(
      sentence(JoinBody, { ...JOIN, id }),
      /^id must be 1 to 64 of A–Z a–z 0–9 \. _ : - \(and not \. or \.\.\)$/,
      JSON.stringify(id),
    )
  }
})

t.test('null is as good as absent where a field is optional', async (t) => {
  const optional = { password: null, specs: null, config: null, slots: null, liveness: null, models: null }
  t.equal(sentence(JoinBody, { ...JOIN, ...optional }), undefined)
  t.equal(sentence(CreateRoomBody, { name: 'x', password: null, code: null, listed: null, defaults: null }), undefined)
})

t.test('what is optional is read leniently', async (t) => {
  const config = { temperature: null, stop: 'x', unknown: 1, seed: 1 }
  const specs = { gpu: '', cpu: null, vram: 0, unknown: {} }
  t.equal(sentence(JoinBody, { ...JOIN, config, specs, unknown: 1 }), undefined)
})

t.test('an optional field that is wrong is named', async (t) => {
  t.equal(sentence(JoinBody, { ...JOIN, password: 7 }), 'password must be a string')
  t.equal(sentence(JoinBody, { ...JOIN, config: 7 }), 'config must be a JSON object')
  t.equal(sentence(JoinBody, { ...JOIN, liveness: 'x' }), 'liveness must be "heartbeat" or "probe"')
  t.match(sentence(JoinBody, { ...JOIN, models: [] }), /^models must be a list of 1 to \d+ model names$/)
  t.match(sentence(JoinBody, { ...JOIN, slots: 0 }), /^slots must be a whole number from 1 to \d+$/)
})

// "config must be a JSON object" would be no help: it is one.
const NESTED: [field: string, body: object, expected: string][] = [
  ['config.temperature', { config: { temperature: 'hot' } }, 'config.temperature must be a number'],
  ['config.seed', { config: { seed: 1.5 } }, 'config.seed must be a whole number'],
  [
    'config.stop',
    { config: { stop: Array(17).fill('x') } },
    'config.stop must be a string or a list of at most 16, each of at most 200 characters',
  ],
  ['specs.vram', { specs: { vram: -1 } }, 'specs.vram must be a number of at least 0'],
  [
    'specs.gpu',
    { specs: { gpu: 'a\n' } },
    'specs.gpu must be a text of at most 200 characters without control characters',
  ],
]

for (const [field, body, expected] of NESTED) {
  t.test(`a wrong ${field} is named`, async (t) => {
    t.equal(sentence(JoinBody, { ...JOIN, ...body }), expected)
  })
}

t.test('a field that a change does not have is refused', async (t) => {
  t.equal(sentence(RoomPatch, { nmae: 'x' }), 'nmae is not a field of this request')
  t.equal(sentence(ParticipantPatch, { nickname: 'x' }), 'nickname is not a field of this request')
  t.equal(sentence(RoomPatch, {}), undefined)
})

t.test('list items are named by their place', async (t) => {
  const schema = Type.Object({ list: Type.Array(Type.Object({ n: Type.Integer() })) })
  t.equal(sentence(schema, { list: [{ n: 1 }, { n: 'x' }] }), 'list[1].n must be a whole number')
  t.equal(sentence(schema, { list: [{ n: 1 }, {}] }), 'list[1].n is required')
})

t.test('each kind of value has its words', async (t) => {
  const schema = Type.Partial(
    Type.Object({
      from: Type.Number({ minimum: 1, maximum: 2 }),
      few: Type.Array(Type.String(), { maxItems: 2 }),
      yes: Type.Literal(true),
      flag: Type.Boolean(),
      either: Type.Union([Type.String(), Type.Null()]),
    }),
  )
  t.equal(sentence(schema, { from: 3 }), 'from must be a number from 1 to 2')
  t.equal(sentence(schema, { few: ['a', 'b', 'c'] }), 'few must be a list of at most 2')
  t.equal(sentence(schema, { yes: false }), 'yes must be true')
  t.equal(sentence(schema, { flag: 'true' }), 'flag must be a boolean')
  t.equal(sentence(schema, { either: 1 }), 'either must be a string')
})

t.test('a name that a client made up forges nothing in the sentence', async (t) => {
  const schema = Type.Object({}, { additionalProperties: false })
  const message = sentence(schema, { ['x\r\n<script>\u2028'.repeat(40)]: 1 }) ?? ''
  t.match(message, /^[\w?.[\]-]{1,80} is not a field of this request$/)
})
