import swagger from '@fastify/swagger'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { EventStream } from '../../schemas/event-stream.ts'
import { holdToDescription } from '../support/conformance.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { join, openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

const Described = Type.Object({ name: Type.String() })
const described = { response: { 200: Described } }

/** An app that says one thing and does another. */
const lies: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/honest', { schema: described }, async () => ({ name: 'Alice' }))
  app.get('/status', { schema: described }, async (_request, reply) => reply.code(400 as 200).send({ name: 'x' }))
  app.get('/type', { schema: described }, (_request, reply) => {
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/html' }).end('<p>')
  })
  app.get('/field', { schema: described }, (_request, reply) => {
    reply.hijack().raw.writeHead(200, { 'content-type': 'application/json' }).end('{"name":12}')
  })
  app.get('/text', { schema: described }, (_request, reply) => {
    reply.hijack().raw.writeHead(200, { 'content-type': 'application/json' }).end('{')
  })
  app.get('/events/:of', { schema: { response: { 200: EventStream(['connected']) } } }, (request, reply) => {
    const { of } = request.params as { of: string }
    reply.hijack().raw.writeHead(200, { 'content-type': 'text/event-stream' }).write(': comment\n\n')
    reply.raw.end(`id: 1\nevent: ${of}\ndata: {"clientId":${of === 'connected' ? '12' : '"x"'}}\n\n`)
  })
  app.get('/broken', { schema: described }, () => Promise.reject(new Error('the disk is full')))
  app.get('/undescribed', { schema: { hide: true } }, async () => 'x')
}

async function startLiar(t: Test): Promise<{ app: FastifyInstance; url: string }> {
  const app = Fastify()
  await app.register(swagger, { openapi: { openapi: '3.1.0' } })
  await app.register(lies)
  t.teardown(() => app.close())
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

/** What would fail the test at its end. */
async function faultsAt(t: Test, ...paths: string[]): Promise<string[]> {
  const { app, url } = await startLiar(t)
  const faults: string[] = []
  const ends: (() => void)[] = []
  const judge = {
    teardown: (end: () => void) => ends.push(end),
    fail: (_message: string, found: { faults: string[] }) => faults.push(...found.faults),
  }
  holdToDescription(judge as unknown as Test, app)
  for (const path of paths) await send('GET', `${url}${path}`)
  // An answer may have come before the hub has noticed that it is through.
  await app.close()
  for (const end of ends) end()
  return faults
}

t.test('what is as it is described is no fault, nor is what is not described at all', async (t) => {
  t.same(await faultsAt(t, '/honest', '/honest?x', '/undescribed', '/nowhere'), [])
})

t.test('a status that is not described is one', async (t) => {
  t.same(await faultsAt(t, '/status'), ['GET /status → 400: no such status is described; the answer was {"name":"x"}'])
})

t.test('so is another media type', async (t) => {
  t.same(await faultsAt(t, '/type'), ['GET /type → 200: text/html is not described'])
})

t.test('so is a field of another type, also where the route wrote to the socket by itself', async (t) => {
  t.same(await faultsAt(t, '/field'), ['GET /field → 200: /name must be string'])
})

t.test('so is what is not JSON', async (t) => {
  t.same(await faultsAt(t, '/text'), ['GET /text → 200: { is not JSON'])
})

t.test('so are an event that is not described, and one with other data', async (t) => {
  t.same(await faultsAt(t, '/events/connected', '/events/other'), [
    'GET /events/{of} → 200: connected: /clientId must be string',
    'GET /events/{of} → 200: no event other is described',
  ])
})

t.test('so is a fault of the hub itself: no description has a place for it', async (t) => {
  t.equal((await faultsAt(t, '/broken')).length, 1)
})

t.test("every hub of the tests is held to its description, a participant's own answer to none", async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => {
    response.writeHead(418, { 'content-type': 'text/plain' }).end('short and stout')
  })
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  const chat = { body: '{"messages":[]}' }
  t.equal((await send('POST', `${url}/rooms/${room.code}/v1/chat/completions`, chat)).status, 418)
  llm.answer(answerPlain('Hi'))
  t.equal((await send('POST', `${url}/rooms/${room.code}/v1/chat/completions`, chat)).status, 200)
})
