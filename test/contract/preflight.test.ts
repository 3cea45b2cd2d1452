import t from 'tap'
import { openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

const PREFLIGHT = { origin: 'http://dashboard.test', 'access-control-request-method': 'POST' }

function listOf(header: string | undefined): string[] {
  return (header ?? '').split(',').map((item) => item.trim().toLowerCase())
}

t.test('OPTIONS any: 204 with CORS headers, on any path', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const paths = ['/', '/rooms', `/rooms/${room.code}/join`, '/rooms/ABC234/events', '/nowhere', '/v1/models']
  for (const path of paths) {
    const { status, headers, text } = await send('OPTIONS', `${url}${path}`, { headers: PREFLIGHT })
    t.equal(status, 204, path)
    t.equal(headers['access-control-allow-origin'], '*', path)
    t.equal(text, '')
  }
})

t.test('OPTIONS any: also on a path that is no proper URL', async (t) => {
  const { url } = await startHub(t)
  const { status, headers } = await send('OPTIONS', `${url}/rooms/%zz/health`, { headers: PREFLIGHT })
  t.equal(status, 204)
  t.equal(headers['access-control-allow-origin'], '*')
})

t.test('OPTIONS any: `GET, POST, PATCH, DELETE, OPTIONS`', async (t) => {
  const { url } = await startHub(t)
  const { headers } = await send('OPTIONS', `${url}/rooms`, { headers: PREFLIGHT })
  t.strictSame(listOf(headers['access-control-allow-methods']), ['get', 'post', 'patch', 'delete', 'options'])
})

t.test('OPTIONS any: `Content-Type, Authorization` and what is asked for', async (t) => {
  const { url } = await startHub(t)
  const asking = { ...PREFLIGHT, 'access-control-request-headers': 'x-stainless-lang, x-api-key' }
  const asked = await send('OPTIONS', `${url}/rooms`, { headers: asking })
  const silent = await send('OPTIONS', `${url}/rooms`, { headers: PREFLIGHT })
  const always = ['content-type', 'authorization']
  t.strictSame(listOf(silent.headers['access-control-allow-headers']), always)
  t.strictSame(listOf(asked.headers['access-control-allow-headers']), [...always, 'x-stainless-lang', 'x-api-key'])
})

t.test('OPTIONS any: also without the headers that make it a preflight', async (t) => {
  const { url } = await startHub(t)
  const { status, headers } = await send('OPTIONS', `${url}/rooms`)
  t.equal(status, 204)
  t.equal(headers['access-control-allow-origin'], '*')
})

t.test('every answer can be read by a page of another origin, refusals included', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const requests = [
    ['GET', '/health'],
    ['GET', '/rooms'],
    ['POST', '/rooms'],
    ['GET', '/rooms/ABC234/events'],
    ['GET', '/nowhere'],
    ['GET', `/rooms/${room.code}/v1/models`],
    ['POST', `/rooms/${room.code}/v1/chat/completions`],
  ] as const
  for (const [method, path] of requests) {
    const { headers } = await send(method, `${url}${path}`, { headers: { origin: 'http://dashboard.test' } })
    t.equal(headers['access-control-allow-origin'], '*', `${method} ${path}`)
  }
})
