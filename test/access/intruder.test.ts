import t, { type Test } from 'tap'
import { mintKey, PASSWORD, statusOf } from '../support/access.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, type ManagedRoom, manageRoom } from '../support/managed.ts'

/**
 * Who gets what, written down: never computed from the table that the hub decides by. `self` is the participant that the
 * path names, its token used before, so that no address speaks for it; `their…` is another room's, `gone…` a closed room's.
 */
const COLUMNS = `nothing wrong password key revoked self other host theirPassword theirToken theirHost goneToken goneHost ticket`

const OPEN = `
GET    /rooms/:code                  200 200 200 200 200 200 200 200 200 200 200 200 200 200
PATCH  /rooms/:code                  401 401 401 403 401 403 403 200 401 401 401 401 401 401
POST   /rooms/:code/join             201 201 201 201 201 201 201 201 201 201 201 201 201 201
DELETE /rooms/:code/leave/:id        401 401 401 403 401 200 403 403 401 401 401 401 401 401
POST   /rooms/:code/health           401 401 401 403 401 200 403 403 401 401 401 401 401 401
GET    /rooms/:code/participants     200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/participants/:id 200 200 200 200 200 200 200 200 200 200 200 200 200 200
PATCH  /rooms/:code/participants/:id 401 401 401 403 401 200 403 200 401 401 401 401 401 401
DELETE /rooms/:code/participants/:id 401 401 401 403 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/events           200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/tunnel           401 401 401 403 401 409 409 403 401 401 401 401 401 401
POST   /rooms/:code/events/ticket    201 201 201 201 201 201 201 201 201 201 201 201 201 201
POST   /rooms/:code/keys             401 401 401 403 401 403 403 201 401 401 401 401 401 401
GET    /rooms/:code/keys             401 401 401 403 401 403 403 200 401 401 401 401 401 401
DELETE /rooms/:code/keys/:id         401 401 401 403 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/usage            401 401 401 200 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/v1/models        200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/chat/completions 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/completions  200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/embeddings   200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/responses    200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/audio/transcriptions 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/audio/translations 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/audio/speech 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/images/generations 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/images/edits 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/images/variations 200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/rerank       200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/messages     200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/v1/messages/count_tokens 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/v1/responses/:id 404 404 404 404 404 404 404 404 404 404 404 404 404 404
DELETE /rooms/:code/v1/responses/:id 404 404 404 404 404 404 404 404 404 404 404 404 404 404
POST   /rooms/:code/v1/responses/:id/cancel 404 404 404 404 404 404 404 404 404 404 404 404 404 404
GET    /rooms/:code/v1/responses/:id/input_items 404 404 404 404 404 404 404 404 404 404 404 404 404 404
POST   /rooms/:code/api/chat        200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/api/generate    200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/api/embed       200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/api/embeddings  200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/api/show        200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/api/tags        200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/api/ps          200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms/:code/api/version     200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms/:code/api/pull        403 403 403 403 403 403 403 403 403 403 403 403 403 403
POST   /rooms/:code/api/push        403 403 403 403 403 403 403 403 403 403 403 403 403 403
POST   /rooms/:code/api/create      403 403 403 403 403 403 403 403 403 403 403 403 403 403
POST   /rooms/:code/api/copy        403 403 403 403 403 403 403 403 403 403 403 403 403 403
DELETE /rooms/:code/api/delete      403 403 403 403 403 403 403 403 403 403 403 403 403 403
GET    /rooms/:code/nowhere          404 404 404 404 404 404 404 404 404 404 404 404 404 404
DELETE /rooms/:code                  401 401 401 403 401 403 403 200 401 401 401 401 401 401`

const PROTECTED = `
GET    /rooms/:code                  200 200 200 200 200 200 200 200 200 200 200 200 200 200
PATCH  /rooms/:code                  401 401 403 403 401 403 403 200 401 401 401 401 401 401
POST   /rooms/:code/join             401 401 201 201 401 201 201 201 401 401 401 401 401 401
DELETE /rooms/:code/leave/:id        401 401 401 403 401 200 403 403 401 401 401 401 401 401
POST   /rooms/:code/health           401 401 401 403 401 200 403 403 401 401 401 401 401 401
GET    /rooms/:code/participants     401 401 200 200 401 200 200 200 401 401 401 401 401 401
GET    /rooms/:code/participants/:id 401 401 200 200 401 200 200 200 401 401 401 401 401 401
PATCH  /rooms/:code/participants/:id 401 401 403 403 401 200 403 200 401 401 401 401 401 401
DELETE /rooms/:code/participants/:id 401 401 403 403 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/events           401 401 200 200 401 200 200 200 401 401 401 401 401 200
GET    /rooms/:code/tunnel           401 401 401 403 401 409 409 403 401 401 401 401 401 401
POST   /rooms/:code/events/ticket    401 401 201 201 401 201 201 201 401 401 401 401 401 401
POST   /rooms/:code/keys             401 401 403 403 401 403 403 201 401 401 401 401 401 401
GET    /rooms/:code/keys             401 401 403 403 401 403 403 200 401 401 401 401 401 401
DELETE /rooms/:code/keys/:id         401 401 403 403 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/usage            401 401 403 200 401 403 403 200 401 401 401 401 401 401
GET    /rooms/:code/v1/models        401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/chat/completions 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/completions  401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/embeddings   401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/responses    401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/audio/transcriptions 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/audio/translations 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/audio/speech 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/images/generations 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/images/edits 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/images/variations 401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/rerank       401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/messages     401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/v1/messages/count_tokens 401 401 200 200 401 200 200 200 401 401 401 401 401 401
GET    /rooms/:code/v1/responses/:id 401 401 404 404 401 404 404 404 401 401 401 401 401 401
DELETE /rooms/:code/v1/responses/:id 401 401 404 404 401 404 404 404 401 401 401 401 401 401
POST   /rooms/:code/v1/responses/:id/cancel 401 401 404 404 401 404 404 404 401 401 401 401 401 401
GET    /rooms/:code/v1/responses/:id/input_items 401 401 404 404 401 404 404 404 401 401 401 401 401 401
POST   /rooms/:code/api/chat        401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/api/generate    401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/api/embed       401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/api/embeddings  401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/api/show        401 401 200 200 401 200 200 200 401 401 401 401 401 401
GET    /rooms/:code/api/tags        401 401 200 200 401 200 200 200 401 401 401 401 401 401
GET    /rooms/:code/api/ps          401 401 200 200 401 200 200 200 401 401 401 401 401 401
GET    /rooms/:code/api/version     401 401 200 200 401 200 200 200 401 401 401 401 401 401
POST   /rooms/:code/api/pull        401 401 403 403 401 403 403 403 401 401 401 401 401 401
POST   /rooms/:code/api/push        401 401 403 403 401 403 403 403 401 401 401 401 401 401
POST   /rooms/:code/api/create      401 401 403 403 401 403 403 403 401 401 401 401 401 401
POST   /rooms/:code/api/copy        401 401 403 403 401 403 403 403 401 401 401 401 401 401
DELETE /rooms/:code/api/delete      401 401 403 403 401 403 403 403 401 401 401 401 401 401
GET    /rooms/:code/nowhere          401 401 404 404 401 404 404 404 401 401 401 401 401 401
DELETE /rooms/:code                  401 401 403 403 401 403 403 200 401 401 401 401 401 401`

/** What is about the hub, not about a room: the same for everybody. */
const HUB = `
GET    /health                       200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /livez                        200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /readyz                       200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /openapi.json                 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /llms.txt                     200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /docs                         200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /rooms                        200 200 200 200 200 200 200 200 200 200 200 200 200 200
POST   /rooms                        201 201 201 201 201 201 201 201 201 201 201 201 201 201
GET    /metrics                      200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /events                       200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET    /nowhere                      404 404 404 404 404 404 404 404 404 404 404 404 404 404`

type Role = string

interface Row {
  method: string
  path: string
  expected: Record<Role, number>
}

function rowsOf(table: string): Row[] {
  return table.trim().split('\n').map(rowOf)
}

function rowOf(line: string): Row {
  const [method = '', path = '', ...statuses] = line.split(/ +/)
  const expected = Object.fromEntries(COLUMNS.split(' ').map((role, index) => [role, Number(statuses[index])]))
  return { method, path, expected }
}

interface Stage extends ManagedRoom {
  /** What a role shows; `ticket` goes into the query. */
  credentials: Record<Role, string>
  ticket: string
  spareKeyId: string
  isClosed: boolean
}

interface World {
  url: string
  llmUrl: string
  /** Of other rooms. */
  strangers: Record<Role, string>
}

/** Wrong ones are the subject here, not how many. */
const PATIENT = { guessesPerMinute: 10_000 }

async function startWorld(t: Test): Promise<World> {
  const [{ url }, llm] = [await startHub(t, PATIENT), await startFakeLlm(t)]
  const theirs = await manageRoom(url, { name: 'Theirs', password: 'theirs-to-know' })
  const gone = await manageRoom(url, { name: 'Gone' })
  const { token: theirToken } = await join(url, theirs.room.code, { id: 'theirs', password: 'theirs-to-know' })
  const { token: goneToken } = await join(url, gone.room.code, { id: 'gone' })
  await gone.close()
  const strangers = { theirPassword: 'theirs-to-know', theirToken, theirHost: theirs.hostToken }
  return { url, llmUrl: llm.url, strangers: { ...strangers, goneToken, goneHost: gone.hostToken } }
}

async function build(world: World, options: Record<string, unknown>): Promise<Stage> {
  const room = await manageRoom(world.url, { name: 'Stage', ...options })
  const [key, revoked, spare] = [await mintKey(room), await mintKey(room), await mintKey(room)]
  await call('DELETE', `${room.base}/keys/${revoked.id}`, undefined, room.asHost)
  const { body } = await call<{ ticket: string }>('POST', `${room.base}/events/ticket`, undefined, room.asHost)
  const other = await joinAs(world, room, 'bob')
  const known = { wrong: 'a wrong one', password: PASSWORD, key: key.key, revoked: revoked.key, other }
  const credentials = { ...world.strangers, ...known, host: room.hostToken }
  const stage: Stage = { ...room, credentials, ticket: body.ticket, spareKeyId: spare.id, isClosed: false }
  await bringAlice(world, stage)
  return stage
}

async function joinAs({ url, llmUrl }: World, { room, hostToken }: ManagedRoom, id: string): Promise<string> {
  const entry = { id, nickname: id, model: 'llama3.2:3b', endpoint: llmUrl }
  const { status, body } = await call<{ token: string }>(
    'POST',
    `${url}/rooms/${room.code}/join`,
    entry,
    bearer(hostToken),
  )
  if (status !== 201) throw new Error(`join answered ${status}: ${JSON.stringify(body)}`)
  return body.token
}

/** Whose token was used once: from then on no address speaks for her. */
async function bringAlice(world: World, stage: Stage): Promise<void> {
  const token = await joinAs(world, stage, 'alice')
  await call('POST', `${stage.base}/health`, { id: 'alice' }, bearer(token))
  stage.credentials.self = token
}

let count = 0

function bodyOf({ method, path }: Row, { llmUrl }: World): unknown {
  count += 1
  const newcomer = { id: `carol-${count}`, nickname: 'Carol', model: 'llama3.2:3b', endpoint: llmUrl }
  const bodies: Record<string, unknown> = {
    'POST /rooms': { name: 'Another' },
    'PATCH /rooms/:code': { name: 'Stage' },
    'POST /rooms/:code/join': newcomer,
    'POST /rooms/:code/health': { id: 'alice' },
    'PATCH /rooms/:code/participants/:id': { paused: false },
    'POST /rooms/:code/keys': { name: 'Bob' },
  }
  const known = bodies[`${method} ${path}`]
  return known ?? (/^POST .*\/(v1|api)\//.test(`${method} ${path}`) ? { model: '*' } : undefined)
}

async function ask(world: World, stage: Stage, row: Row, role: Role): Promise<number> {
  const id = row.path.includes('/keys/') ? stage.spareKeyId : 'alice'
  const path = row.path.replace(':code', stage.room.code).replace(':id', id)
  const query = role === 'ticket' ? `?ticket=${stage.ticket}` : ''
  const credential = stage.credentials[role]
  const headers = credential === undefined ? {} : bearer(credential)
  return statusOf({ method: row.method, url: `${world.url}${path}${query}`, headers, body: bodyOf(row, world) })
}

/** What a right request has taken away is there again for the next. */
async function restore(world: World, stage: Stage, { method, path }: Row): Promise<void> {
  if (method !== 'DELETE') return
  if (path.includes('/keys/')) stage.spareKeyId = (await mintKey(stage)).id
  else if (path.includes(':id')) await bringAlice(world, stage)
  else stage.isClosed = true
}

async function askAll(world: World, options: Record<string, unknown>, stage: Stage, row: Row) {
  const found: Record<Role, number> = {}
  let current = stage
  for (const role of COLUMNS.split(' ')) {
    if (current.isClosed) current = await build(world, options)
    found[role] = await ask(world, current, row, role)
    if (found[role] === 200) await restore(world, current, row)
  }
  return found
}

const KINDS = [
  { kind: 'an open room', options: {}, table: OPEN },
  { kind: 'a protected room', options: { password: PASSWORD }, table: PROTECTED },
  { kind: 'an unlisted room', options: { listed: false }, table: OPEN },
]

for (const { kind, options, table } of KINDS) {
  t.test(kind, async (t) => {
    const world = await startWorld(t)
    const stage = await build(world, options)
    for (const row of rowsOf(table)) {
      t.strictSame(await askAll(world, options, stage, row), row.expected, `${row.method} ${row.path}`)
    }
  })
}

t.test('a closed room is none, whoever asks', async (t) => {
  const world = await startWorld(t)
  const stage = await build(world, { password: PASSWORD })
  await stage.close()
  for (const row of rowsOf(PROTECTED)) {
    for (const role of COLUMNS.split(' '))
      t.equal(await ask(world, stage, row, role), 404, `${row.method} ${row.path}: ${role}`)
  }
})

t.test('the hub itself', async (t) => {
  const world = await startWorld(t)
  const stage = await build(world, { password: PASSWORD })
  for (const row of rowsOf(HUB)) {
    t.strictSame(await askAll(world, {}, stage, row), row.expected, `${row.method} ${row.path}`)
  }
})

t.test('what the host may do to a participant is to pause it, and no more', async (t) => {
  const world = await startWorld(t)
  const stage = await build(world, {})
  for (const body of [{ slots: 2 }, { models: ['x'] }, { config: {} }, { specs: {} }, { paused: true, slots: 2 }])
    t.equal((await stage.changeParticipant('alice', body, stage.hostToken)).status, 403, JSON.stringify(body))
  t.equal((await stage.changeParticipant('alice', { paused: true }, stage.hostToken)).status, 200)
})

t.test('nobody finds an unlisted room in the list, whatever they show', async (t) => {
  const world = await startWorld(t)
  const stage = await build(world, { listed: false })
  for (const credential of [undefined, ...Object.values(stage.credentials)]) {
    const headers = credential === undefined ? {} : bearer(credential)
    const { body } = await call('GET', `${world.url}/rooms`, undefined, headers)
    t.notMatch(JSON.stringify(body), new RegExp(`${stage.room.code}|${stage.room.id}`))
  }
})

/** Served by a page or two, which follow from the one in the table. */
const PAGES = /^GET \/docs\/./

t.test('every route of the hub stands in these tables', async (t) => {
  const { hub } = await startHub(t)
  const paths = Object.entries((await hub.app).swagger().paths ?? {})
  const described = paths.flatMap(([path, methods]) =>
    Object.keys(methods ?? {}).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  )
  const tested = [...rowsOf(PROTECTED), ...rowsOf(HUB)].map(({ method, path }) => `${method} ${path}`)
  t.ok(described.length > 20)
  const trimmed = described.map((route) => route.replace(/\/$/, '')).filter((route) => !PAGES.test(route))
  t.strictSame(
    trimmed.filter((route) => !tested.includes(route)),
    [],
  )
})
