import diagnostics from 'node:diagnostics_channel'
import { METHODS } from 'node:http'
import type { FastifyInstance, RouteOptions } from 'fastify'
import t, { type Test } from 'tap'
import { OPERATIONS } from '../../plugins/access/operations.ts'
import { startVault, statusOf } from '../support/access.ts'
import { startHub } from '../support/hub.ts'

/** Every route as it is registered, by whichever plugin. */
async function routesOf(t: Test): Promise<RouteOptions[]> {
  const routes: RouteOptions[] = []
  const watch = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', (route) => void routes.push(route))
  }
  diagnostics.subscribe('fastify.initialization', watch)
  await startHub(t)
  diagnostics.unsubscribe('fastify.initialization', watch)
  return routes
}

/** Scripts and styles of the reference page, and what answers every preflight: plugins' own. */
const PLUGINS_OWN = /^(\/docs|\*$)/

t.test('every route names what it does, for the table that decides who may', async (t) => {
  const routes = await routesOf(t)
  t.ok(routes.length > 30)
  const nameless = routes.filter(({ url, config }) => !PLUGINS_OWN.test(url) && config?.operation === undefined)
  t.strictSame(
    nameless.map(({ method, url }) => `${method} ${url}`),
    [],
  )
})

t.test('the table names no operation that no route has', async (t) => {
  const used = new Set<string | undefined>((await routesOf(t)).map(({ config }) => config?.operation))
  // That one is for paths without a route.
  used.add('unknown')
  t.strictSame(
    Object.keys(OPERATIONS).filter((operation) => !used.has(operation)),
    [],
  )
})

/** Served ones and others, of each kind that somebody may try. */
const BELOW = [
  '/join',
  '/participants',
  '/participants/alice',
  '/participants/alice/more',
  '/events',
  '/events/ticket',
  '/keys',
  '/keys/x',
  '/usage',
  '/v1',
  '/v1/models',
  '/v1/models/x',
  '/v1/chat/completions',
  '/v1/nowhere',
  '/api/tags',
  '/leave',
  '/health/x',
  '/nowhere',
  '/nowhere?x=/',
  '/.env',
  '//',
  '//participants',
  '/participants/',
  '/participants?limit=1',
  '/%70articipants',
  '/participants/%2e%2e',
]

/** A preflight has no credential to show (WHATWG Fetch), and CONNECT asks for no path. */
const ALL_METHODS = METHODS.filter((method) => method !== 'OPTIONS' && method !== 'CONNECT')

/** A join that says nothing usable is refused for that, whoever sends it. */
const hasOwnRule = (method: string, path: string) => method === 'POST' && path === '/join'

async function statusesBelow(base: string): Promise<string[]> {
  const found: string[] = []
  for (const path of BELOW) {
    const methods = ALL_METHODS.filter((method) => !hasOwnRule(method, path))
    for (const method of methods) {
      const status = await statusOf({ method, url: `${base}${path}` })
      if (status !== 401) found.push(`${method} ${path}: ${status}`)
    }
  }
  return found
}

t.test(
  'below a protected room nothing is told apart without a credential, served or not, whatever the method',
  async (t) => {
    const { base } = await startVault(t)
    t.strictSame(await statusesBelow(base), [])
  },
)

t.test('nor where the code is written in another way', async (t) => {
  const { url, room } = await startVault(t)
  const encoded = room.code.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16)}`)
  for (const code of [room.code.toLowerCase(), encoded]) {
    for (const path of ['/participants', '/nowhere'])
      t.equal(await statusOf({ method: 'GET', url: `${url}/rooms/${code}${path}` }), 401, `/rooms/${code}${path}`)
  }
})

t.test('a broken query or escape in the path is no way around', async (t) => {
  const { base } = await startVault(t)
  for (const path of ['/participants?%zz', '/participants?ticket=%zz', '/%zz', '/participants/%zz', '/participants#x'])
    t.equal(await statusOf({ method: 'GET', url: `${base}${path}` }), 401, path)
})

t.test('a preflight is answered for every path, and tells nothing', async (t) => {
  const { base, url } = await startVault(t)
  for (const path of [`${base}/participants`, `${base}/nowhere`, `${url}/rooms/NOROOM/participants`])
    t.equal(await statusOf({ method: 'OPTIONS', url: path }), 204, path)
})
