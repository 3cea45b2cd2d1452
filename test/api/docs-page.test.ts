import t, { type Test } from 'tap'
import { openRoom, startHub } from '../support/hub.ts'

interface Page {
  url: string
  html: string
  headers: Headers
  /** Addresses of what it loads, as they stand in it. */
  parts: string[]
}

async function openPage(t: Test): Promise<Page> {
  const { url } = await startHub(t)
  const response = await fetch(`${url}/docs`)
  const html = await response.text()
  t.match(response.headers.get('content-type'), /^text\/html/)
  const parts = Array.from(html.matchAll(/(?:href|src)="([^"]*)"/g), ([, part = '']) => part)
  return { url: response.url, html, headers: response.headers, parts }
}

async function textOf(page: Page, part: string): Promise<string> {
  const response = await fetch(new URL(part, page.url))
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${part} answered ${response.status}`)
  return text
}

t.test('all that the page loads comes from the hub itself, and is there', async (t) => {
  const page = await openPage(t)
  t.ok(page.parts.length >= 5)
  for (const part of page.parts) {
    t.match(part, /^\.{0,2}\//, part)
    t.equal(new URL(part, page.url).host, new URL(page.url).host)
    t.ok((await textOf(page, part)).length > 100, part)
  }
})

t.test('no other host is named in the page, nor in the script that starts it', async (t) => {
  const page = await openPage(t)
  const initializer = page.parts.find((part) => part.endsWith('swagger-initializer.js'))
  t.ok(initializer)
  const script = await textOf(page, initializer as string)
  t.match(script, "resolveUrl('./json')")
  t.match(script, /validatorUrl: null/, 'the description is not sent to a validator on the internet')
  for (const text of [page.html, script.replace(/^\s*\/\/.*$/gm, '')]) t.notMatch(text, /(https?:)?\/\/[\w.-]+\.\w+/)
})

t.test('its styles load nothing from elsewhere', async (t) => {
  const page = await openPage(t)
  const sheets = page.parts.filter((part) => part.endsWith('.css'))
  t.ok(sheets.length > 0)
  for (const sheet of sheets) {
    const css = await textOf(page, sheet)
    t.notMatch(css, '@import')
    for (const [, target = ''] of css.matchAll(/url\(["']?([^)"']{0,40})/g)) t.match(target, /^(data:|#|\.)/, sheet)
  }
})

t.test(
  'the policy that it is served with, if any, lets it load from the hub by plain HTTP and from nowhere else',
  async (t) => {
    const { headers } = await openPage(t)
    const policy = headers.get('content-security-policy') ?? "default-src 'self'"
    const sources = policy.split(';').flatMap((directive) => directive.trim().split(/\s+/).slice(1))
    t.same(
      sources.filter((source) => !/^('.*'|data:|blob:)$/.test(source)),
      [],
    )
    // A hub on a LAN has no TLS: the browser would ask for its own scripts by https, and show an empty page.
    t.notMatch(policy, 'upgrade-insecure-requests')
    t.equal(headers.get('strict-transport-security'), null)
  },
)

t.test('it shows the same description as /openapi.json', async (t) => {
  const { url } = await startHub(t)
  const [shown, described] = await Promise.all(
    ['/docs/json', '/openapi.json'].map(async (path) => (await fetch(`${url}${path}`)).json()),
  )
  t.same(shown, described)
})

t.test('neither the page nor the description tells of a room that is there', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Midnight kitchen', listed: false })
  for (const path of ['/docs', '/docs/json', '/openapi.json', '/llms.txt']) {
    const text = await (await fetch(`${url}${path}`)).text()
    t.notMatch(text, new RegExp(`${room.code}|${room.id}|Midnight`), path)
  }
})
