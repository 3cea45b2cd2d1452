import t, { type Test } from 'tap'
import { startHub } from '../support/hub.ts'
import { type OpenApi, operationsOf } from '../support/openapi.ts'

/** Pages and documents, which describe and are not described. */
const PAGES = /^GET \/(openapi\.json|llms\.txt|docs(\/.*)?)?$/

/** At the root everything is as it is described for a room. */
const AT_ROOT = /^(\w+) (\/(?:v1|api)\/.*)$/

/** One line of Fastify's tree of routes: its depth is told by its indentation, four characters a level. */
const LINE = /^((?:[│ ] {3})*)[├└]── (\S*) \(([A-Z, ]+)\)$/gm

/** Method and path of every route, as OpenAPI writes them. */
async function servedRoutes(t: Test): Promise<{ served: string[]; document: OpenApi }> {
  const { hub } = await startHub(t)
  const app = await hub.app
  const segments: string[] = []
  const served: string[] = []
  for (const [, indent = '', segment = '', methods = ''] of app.printRoutes({ commonPrefix: false }).matchAll(LINE)) {
    segments.splice(indent.length / 4, Number.POSITIVE_INFINITY, segment)
    const path = segments.join('').replace(/:(\w+)/g, '{$1}')
    served.push(...methods.split(', ').map((method) => `${method} ${path}`))
  }
  return { served, document: app.swagger() as unknown as OpenApi }
}

t.test('it lists exactly the routes that the hub serves', async (t) => {
  const { served, document } = await servedRoutes(t)
  const described = operationsOf(document).map(({ method, path }) => `${method} ${path}`)
  // HEAD and OPTIONS follow from the others (RFC 9110 §9.3), and a wildcard is no route of its own.
  const isOwn = (route: string) => !/^(HEAD|OPTIONS) |\*$/.test(route) && !PAGES.test(route) && !AT_ROOT.test(route)
  const own = served.filter(isOwn)
  t.ok(own.length > 15)
  t.same(described.sort(), own.sort())
})

t.test('every other route is a page, or follows from one that is listed', async (t) => {
  const { served } = await servedRoutes(t)
  const heads = served.filter((route) => route.startsWith('HEAD '))
  for (const head of heads) t.ok(served.includes(head.replace('HEAD', 'GET')), head)
  t.same(
    served.filter((route) => route.startsWith('OPTIONS ')),
    ['OPTIONS *'],
  )
})

t.test('the root serves exactly what a room does', async (t) => {
  const { served } = await servedRoutes(t)
  const inRooms = served.flatMap(
    (route) => /^(\w+) \/rooms\/\{code\}(\/(?:v1|api)\/.*)$/.exec(route)?.slice(1).join(' ') ?? [],
  )
  const atRoot = served.filter((route) => AT_ROOT.test(route))
  t.ok(atRoot.length > 25)
  t.same(atRoot.sort(), inRooms.sort())
})
