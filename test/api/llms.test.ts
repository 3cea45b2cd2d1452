import t, { type Test } from 'tap'
import { startHub } from '../support/hub.ts'
import type { OpenApi } from '../support/openapi.ts'

async function read(t: Test): Promise<{ url: string; response: Response; text: string }> {
  const { url } = await startHub(t)
  const response = await fetch(`${url}/llms.txt`)
  return { url, response, text: await response.text() }
}

t.test('it is plain text in the form that llmstxt.org asks for: a title, a summary, links', async (t) => {
  const { response, text } = await read(t)
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8')
  t.match(text, /^# Potluck\n\n> .+/)
  t.match(text, /^## \S.*\n\n- \[.+\]\(.+\)/m)
})

t.test('its links lead somewhere', async (t) => {
  const { url, text } = await read(t)
  const links = Array.from(text.matchAll(/\]\(([^)]+)\)/g), ([, link = '']) => link)
  t.ok(links.length >= 2)
  for (const link of links) {
    const response = await fetch(new URL(link, url))
    t.equal(response.status, 200, link)
    await response.text()
  }
})

t.test('what it tells to ask is what the hub serves', async (t) => {
  const { url, text } = await read(t)
  const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi
  const told = [...text.matchAll(/`(GET|POST|PATCH|DELETE) (\/[\w/.]*)`/g)]
  t.ok(told.length >= 5)
  for (const [, method = '', path = ''] of told)
    t.ok(paths[path.replace('/CODE', '/{code}')]?.[method.toLowerCase()], `${method} ${path}`)
})
