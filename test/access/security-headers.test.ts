import t from 'tap'
import { PASSWORD, startVault } from '../support/access.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { join, startHub } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import { send } from '../support/wire.ts'

t.test('answers of the API, failures and pages alike say what a browser may do with them', async (t) => {
  const { url, base } = await startVault(t)
  const headers = bearer(PASSWORD)
  for (const path of [
    `${url}/health`,
    `${url}/rooms`,
    `${base}/participants`,
    `${base}/x`,
    `${url}/x`,
    `${url}/docs`,
  ]) {
    const answer = await send('GET', path, { headers })
    t.equal(answer.headers['x-content-type-options'], 'nosniff', path)
    t.match(answer.headers['content-security-policy'], /default-src 'self'/, path)
    t.match(answer.headers['x-frame-options'], /SAMEORIGIN|DENY/, path)
    t.equal(answer.headers['referrer-policy'], 'no-referrer', path)
  }
})

t.test('an event stream has them too', async (t) => {
  const { base } = await startVault(t)
  const { response } = await readEvents(t, `${base}/events`, bearer(PASSWORD))
  t.equal(response.headers['x-content-type-options'], 'nosniff')
})

t.test('on plain HTTP nothing sends a browser to HTTPS', async (t) => {
  const { url } = await startHub(t)
  for (const path of ['/health', '/docs', '/docs/static/index.html', '/docs/static/swagger-ui.css', '/nowhere']) {
    const { headers } = await send('GET', `${url}${path}`)
    t.notMatch(headers['content-security-policy'] ?? '', 'upgrade-insecure-requests', path)
    t.equal(headers['strict-transport-security'], undefined, path)
  }
})

t.test("other origins' pages may read the API", async (t) => {
  const { url } = await startHub(t)
  const { headers } = await send('GET', `${url}/rooms`)
  t.equal(headers['cross-origin-resource-policy'], 'cross-origin')
})

// Somebody else's page in the hub's own origin could do whatever the dashboard may.
t.test('a page that a participant answers is none of the hub', async (t) => {
  const { base, url, room } = await startVault(t)
  const llm = await startFakeLlm(t, (_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<script>alert(1)</script>')
  })
  await join(url, room.code, { endpoint: llm.url, password: PASSWORD })
  const body = JSON.stringify({ model: '*', messages: [] })
  const { headers } = await send('POST', `${base}/v1/chat/completions`, { headers: bearer(PASSWORD), body })
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.match(headers['content-security-policy'], 'sandbox')
})

t.test("the hub's own answers on inference paths are not guessed at either", async (t) => {
  const { base } = await startVault(t)
  for (const path of ['/v1/models', '/v1/nowhere']) {
    for (const headers of [bearer(PASSWORD), {}])
      t.equal((await send('GET', `${base}${path}`, { headers })).headers['x-content-type-options'], 'nosniff', path)
  }
})

/** Sources of a directive, or of the one that it falls back to (CSP Level 3, §6.8.3). */
function sourcesOf(policy: string, directive: string): string[] {
  const directives = new Map(
    policy.split(';').map((part) => [part.trim().split(/\s+/)[0], part.trim().split(/\s+/).slice(1)]),
  )
  return directives.get(directive) ?? directives.get('default-src') ?? ['*']
}

t.test('the reference page works under its own policy', async (t) => {
  const { url } = await startHub(t)
  const { text, headers } = await send('GET', `${url}/docs`)
  const policy = String(headers['content-security-policy'])
  const scripts = Array.from(text.matchAll(/<script\b([^>]*)>([\s\S]*?)<\/script>/g))
  t.ok(scripts.length >= 3)
  for (const [, attributes = '', inline = ''] of scripts) {
    t.match(attributes, /src="\.?\/[^"]*"/, 'a script comes from the hub')
    t.equal(inline.trim(), '', 'and none stands in the page')
  }
  t.ok(sourcesOf(policy, 'script-src').includes("'self'"))
  t.ok(sourcesOf(policy, 'connect-src').includes("'self'"), 'it may fetch the description')
  t.notMatch(text, /\son\w+="/, 'no handler stands in an attribute')
})

t.test('its styles and pictures are allowed as well', async (t) => {
  const { url } = await startHub(t)
  const { text, headers } = await send('GET', `${url}/docs`)
  const policy = String(headers['content-security-policy'])
  const isStyledInline = /<style\b|\sstyle="/.test(text)
  const styles = sourcesOf(policy, 'style-src')
  t.ok(styles.includes("'self'"))
  if (isStyledInline) t.ok(styles.some((source) => /^'(unsafe-inline|sha\d+-)/.test(source)))
  t.ok(sourcesOf(policy, 'img-src').includes('data:'), 'its stylesheet has pictures within')
})
