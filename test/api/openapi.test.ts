import t, { type Test } from 'tap'
import { manifest } from '../../src/version.ts'
import { startHub } from '../support/hub.ts'
import { checkOf } from '../support/json-schema.ts'
import { type MediaType, type OpenApi, operationsOf } from '../support/openapi.ts'

async function readDescription(t: Test): Promise<OpenApi> {
  const { url } = await startHub(t)
  const response = await fetch(`${url}/openapi.json`)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^application\/json/)
  return (await response.json()) as OpenApi
}

t.test('it is OpenAPI 3.1, of this version of the hub, with addresses below its own', async (t) => {
  const { openapi, info, servers } = await readDescription(t)
  t.match(openapi, /^3\.1\.\d$/)
  t.equal(info.version, manifest.version)
  t.ok(info.title)
  t.same(servers, [{ url: '/' }])
})

t.test('every operation has a name of its own, a summary of one line and a tag that is explained', async (t) => {
  const document = await readDescription(t)
  const operations = operationsOf(document)
  const ids = operations.map(({ operation }) => operation.operationId)
  t.same(ids, [...new Set(ids)])
  for (const { operation } of operations) {
    t.match(operation.operationId, /^[a-z][A-Za-z]+$/)
    t.match(operation.summary, /^[A-Z].{5,100}[^.\n]$/, operation.operationId)
    t.equal(operation.tags.length, 1, operation.operationId)
  }
  const used = new Set(operations.flatMap(({ operation }) => operation.tags))
  t.same(document.tags.map(({ name }) => name).sort(), [...used].sort())
})

t.test('what varies in a path is described as a parameter, and no other parameter is in the path', async (t) => {
  for (const { path, operation } of operationsOf(await readDescription(t))) {
    const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name)
    t.same(inPath.map(({ name }) => name).sort(), names.sort(), path)
    t.ok(inPath.every(({ required }) => required === true))
  }
})

t.test('every parameter and every answer says what it means', async (t) => {
  for (const { operation } of operationsOf(await readDescription(t))) {
    for (const { name, description } of operation.parameters ?? [])
      t.ok(description, `${operation.operationId} ${name}`)
    for (const [status, { description }] of Object.entries(operation.responses))
      t.notMatch(description, /^(Default Response)?$/, `${operation.operationId} ${status}`)
  }
})

t.test('every operation succeeds in one way', async (t) => {
  for (const { operation } of operationsOf(await readDescription(t))) {
    const successes = Object.keys(operation.responses).filter((status) => status.startsWith('2') || status === '101')
    t.equal(successes.length, 1, operation.operationId)
  }
})

t.test('what can go wrong with a request is described: its room, its body, its credential', async (t) => {
  for (const { path, operation } of operationsOf(await readDescription(t))) {
    const { operationId, requestBody, security = [], responses } = operation
    const needsCredential = security.length > 0 && security.every((way) => Object.keys(way).length > 0)
    if (path.includes('{code}')) t.ok(responses[404], `${operationId} 404`)
    if (requestBody !== undefined) t.ok(responses[400] && responses[413], `${operationId} 400, 413`)
    if (needsCredential) t.ok(responses[401] && responses[403], `${operationId} 401, 403`)
  }
})

t.test('every failure has a body of the shape that the clients of its path parse', async (t) => {
  for (const { path, operation } of operationsOf(await readDescription(t))) {
    const failures = Object.entries(operation.responses).filter(([status]) => /^4/.test(status))
    const body = failureAt(path)
    for (const [status, answer] of failures) {
      const [media] = mediaOf(answer)
      t.same(checkOf(media!.schema)(body), [], `${operation.operationId} ${status}`)
      t.not(checkOf(media!.schema)({}).length, 0, 'and of no other')
    }
  }
})

t.test('every schema is one: it compiles as JSON Schema 2020-12', async (t) => {
  const schemas = operationsOf(await readDescription(t)).flatMap(({ operation }) => [
    ...(operation.parameters ?? []).map(({ schema }) => schema),
    ...mediaOf(operation.requestBody).map(({ schema }) => schema),
    ...Object.values(operation.responses)
      .flatMap(mediaOf)
      .map(({ schema }) => schema),
  ])
  t.ok(schemas.length > 50)
  for (const schema of schemas) t.type(checkOf(schema), 'function')
})

function failureAt(path: string): object {
  if (path.includes('/v1/messages')) return { type: 'error', error: { type: 'x', message: 'x' } }
  return path.includes('/v1/') ? { error: { message: 'x', type: 'x', param: null, code: null } } : { error: 'x' }
}

function mediaOf(holder: { content?: Record<string, MediaType> } | undefined): MediaType[] {
  return Object.values(holder?.content ?? {})
}

t.test('an operation that needs a credential says how to show it', async (t) => {
  const document = await readDescription(t)
  const ways = operationsOf(document).flatMap(({ operation }) => operation.security ?? [])
  const names = new Set(ways.flatMap((way) => Object.keys(way)))
  t.same([...names].sort(), Object.keys(document.components.securitySchemes).sort())
})

t.test('nothing in it is about this machine, and no secret', async (t) => {
  const text = JSON.stringify(await readDescription(t))
  t.notMatch(text, process.cwd())
  t.notMatch(text, /127\.0\.0\.1|passwordHash|tokenHash/)
})
