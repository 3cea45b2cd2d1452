import t from 'tap'
import { ConfigError, createHub } from '../../src/hub.ts'
import { PASSWORD, startVault } from '../support/access.ts'
import { startHub } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import { send } from '../support/wire.ts'

const OURS = 'https://dash.example'
const OTHER = 'http://localhost:5173'
const FOREIGN = 'https://evil.example'

async function allowedOrigin(url: string, origin: string, method = 'GET'): Promise<string | undefined> {
  const asked = method === 'OPTIONS' ? { 'access-control-request-method': 'POST' } : {}
  return (await send(method, url, { headers: { origin, ...asked } })).headers['access-control-allow-origin']
}

t.test('by default every page may use the hub', async (t) => {
  const { url } = await startHub(t)
  for (const method of ['GET', 'OPTIONS']) t.equal(await allowedOrigin(`${url}/rooms`, FOREIGN, method), '*')
})

t.test('with an option, only the pages that it names', async (t) => {
  const { url } = await startHub(t, { corsOrigins: `${OURS},${OTHER}` })
  for (const method of ['GET', 'OPTIONS']) {
    for (const origin of [OURS, OTHER]) t.equal(await allowedOrigin(`${url}/rooms`, origin, method), origin)
    for (const origin of [FOREIGN, `${OURS}.evil.example`, 'http://dash.example', 'null'])
      t.equal(await allowedOrigin(`${url}/rooms`, origin, method), undefined, origin)
  }
})

t.test('an answer that depends on the origin says so to caches', async (t) => {
  const { url } = await startHub(t, { corsOrigins: `${OURS},${OTHER}` })
  const { headers } = await send('GET', `${url}/rooms`, { headers: { origin: OURS } })
  t.match(headers.vary, /\borigin\b/i)
})

t.test('one origin alone is enough', async (t) => {
  const { url } = await startHub(t, { corsOrigins: OURS })
  t.equal(await allowedOrigin(`${url}/rooms`, OURS), OURS)
  t.not(await allowedOrigin(`${url}/rooms`, FOREIGN), FOREIGN)
})

t.test('refusals can be read by the pages that may use the hub, and event streams too', async (t) => {
  const { url, base } = await startVault(t, { corsOrigins: `${OURS},${OTHER}` })
  for (const path of [`${base}/participants`, `${base}/v1/models`, `${base}/nowhere`, `${url}/nowhere`])
    t.equal(await allowedOrigin(path, OURS), OURS, path)
  const reader = await readEvents(t, `${base}/events`, { origin: OURS, ...bearer(PASSWORD) })
  t.equal(reader.response.headers['access-control-allow-origin'], OURS)
})

t.test('no page gets a browser to send credentials by itself', async (t) => {
  const { url } = await startHub(t, { corsOrigins: OURS })
  for (const method of ['GET', 'OPTIONS']) {
    const { headers } = await send(method, `${url}/rooms`, { headers: { origin: OURS } })
    t.equal(headers['access-control-allow-credentials'], undefined)
  }
})

t.test('a page may read when to try again', async (t) => {
  const { url } = await startHub(t)
  const { headers } = await send('GET', `${url}/rooms`, { headers: { origin: OURS } })
  t.match(headers['access-control-expose-headers'], /\bRetry-After\b/i)
})

t.test('what is no origin refuses the start', async (t) => {
  for (const corsOrigins of ['dash.example', 'https://dash.example/', `${OURS}, ${OTHER}`, 'null', `${OURS},*`])
    t.throws(() => createHub({ corsOrigins }), ConfigError, corsOrigins)
})
