import t from 'tap'
import { ConfigError, createHub } from '../../src/hub.ts'
import { knock, PASSWORD, statusOf } from '../support/access.ts'
import { call, join, type OpenRoom, startHub } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'

const ADMIN = 'an-admin-token-of-a-hub'

t.test('rooms are opened and the hub is watched with it alone', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  const { hostToken, room } = (await call<OpenRoom>('POST', `${url}/rooms`, { name: 'One' }, bearer(ADMIN))).body
  const { token } = await join(url, room.code)
  for (const headers of [{}, bearer('a wrong one'), bearer(hostToken), bearer(token), bearer(`${ADMIN}x`)]) {
    const { status, body } = await call('POST', `${url}/rooms`, { name: 'Two' }, headers as Record<string, string>)
    t.equal(status, 401)
    t.match(body.error, "the hub's admin token")
    t.equal(await statusOf({ method: 'GET', url: `${url}/events`, headers: headers as Record<string, string> }), 401)
  }
  const { body } = await call<{ rooms: unknown[] }>('GET', `${url}/rooms`)
  t.equal(body.rooms.length, 1)
})

t.test('it is taken as a bearer token and as x-api-key', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  for (const headers of [bearer(ADMIN), { 'x-api-key': ADMIN }])
    t.equal((await call('POST', `${url}/rooms`, { name: 'One' }, headers)).status, 201)
  const reader = await readEvents(t, `${url}/events`, bearer(ADMIN))
  t.ok(await reader.next('connected'))
})

t.test('in the query it is none', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  for (const name of ['ticket', 'token', 'key'])
    t.equal(await statusOf({ method: 'GET', url: `${url}/events?${name}=${ADMIN}` }), 401)
})

t.test('a room is not opened before it was asked for: a large body is not even read', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  t.equal((await call('POST', `${url}/rooms`, 'no JSON')).status, 401)
})

t.test('nothing else needs it', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  for (const path of ['/health', '/livez', '/readyz', '/rooms', '/openapi.json', '/docs', '/llms.txt'])
    t.equal(await statusOf({ method: 'GET', url: `${url}${path}` }), 200, path)
  const { room, hostToken } = (await call<OpenRoom>('POST', `${url}/rooms`, { name: 'One' }, bearer(ADMIN))).body
  await join(url, room.code)
  for (const path of ['', '/participants', '/participants/alice', '/events', '/v1/models'])
    t.equal(await statusOf({ method: 'GET', url: `${url}/rooms/${room.code}${path}` }), 200, path)
  t.equal((await call('PATCH', `${url}/rooms/${room.code}`, { name: 'Two' }, bearer(hostToken))).status, 200)
})

t.test('it opens no room: whoever runs the hub is a stranger there', async (t) => {
  const { url } = await startHub(t, { adminToken: ADMIN })
  const body = { name: 'Vault', password: PASSWORD }
  const { room } = (await call<OpenRoom>('POST', `${url}/rooms`, body, bearer(ADMIN))).body
  t.equal(await knock(`${url}/rooms/${room.code}`, ADMIN), 401)
  t.equal((await call('DELETE', `${url}/rooms/${room.code}`, undefined, bearer(ADMIN))).status, 401)
})

t.test('one that is too short, too long or not printable refuses the start', async (t) => {
  for (const adminToken of ['x', 'x'.repeat(15), 'x'.repeat(257), 'an admin token with spaces', 'schlüssel-schlüssel'])
    t.throws(() => createHub({ adminToken }), ConfigError, adminToken)
  for (const adminToken of ['', 'x'.repeat(16), 'x'.repeat(256)]) {
    const hub = createHub({ adminToken })
    await hub.ready()
    await hub.close()
  }
})
