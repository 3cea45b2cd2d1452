import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { answerJson } from '../support/client-answers.ts'
import { manualClock } from '../support/clock.ts'
import { type Answerer, answerNever, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, type RunningHub, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

interface Listed {
  name: string
  model: string
  size: number
  size_vram?: number
  potluck: { participants: string[] }
}

const told = (name: string, more: object = {}) => ({ name, model: name, size: 7, digest: `digest of ${name}`, ...more })

/** An Ollama server with these models, of which it has loaded the last. */
function ollamaWith(version: string, ...names: string[]): Answerer {
  const lists: Record<string, object> = {
    '/api/tags': { models: names.map((name) => told(name)) },
    '/api/ps': {
      models: names.slice(-1).map((name) => told(name, { size_vram: 5, expires_at: '2026-01-01T00:00:00Z' })),
    },
    '/api/version': { version },
  }
  return (request, response) => {
    const list = lists[request.path]
    return answerJson(list ?? { error: 'not found' }, list === undefined ? 404 : 200)(request, response)
  }
}

/** A server that has no such paths. */
const llamaServer: Answerer = answerJson(
  { error: { code: 404, message: 'File Not Found', type: 'not_found_error' } },
  404,
)

interface Brought {
  models: string[]
  answerer: Answerer
}

/** A room with these participants. */
async function openRoom(t: Test, brought: Record<string, Brought>, options: HubOptions = {}, running?: RunningHub) {
  const { url } = running ?? (await startHub(t, options))
  const room = await manageRoom(url)
  const llms: Record<string, FakeLlm> = {}
  for (const [id, { models, answerer }] of Object.entries(brought)) {
    const llm = await startFakeLlm(t, answerer)
    llms[id] = llm
    await join(url, room.room.code, { id, nickname: id, models, endpoint: llm.url, model: null })
  }
  const read = async <T>(path: string): Promise<T> => (await call<T>('GET', `${room.base}/api/${path}`)).body
  return {
    ...room,
    url,
    llms,
    tags: async () => (await read<{ models: Listed[] }>('tags')).models,
    running: async () => (await read<{ models: Listed[] }>('ps')).models,
    version: async () => (await read<{ version: string }>('version')).version,
  }
}

const ALICE = {
  models: ['llama3.2:3b', 'qwen3'],
  answerer: ollamaWith('0.12.1', 'llama3.2:3b', 'private', 'qwen3:latest'),
}
const BOB = { models: ['llama3.2:3b', 'mistral'], answerer: ollamaWith('0.9.0', 'mistral:latest', 'llama3.2:3b') }
const CAROL = { models: ['gpt-oss'], answerer: llamaServer }

t.test('the models on offer are listed once, with what their servers tell', async (t) => {
  const { tags } = await openRoom(t, { alice: ALICE, bob: BOB, carol: CAROL })
  t.strictSame(
    (await tags()).map(({ name, model, size, potluck }) => [name, model, size, potluck.participants.join()]),
    [
      ['llama3.2:3b', 'llama3.2:3b', 7, 'alice,bob'],
      ['qwen3', 'qwen3', 7, 'alice'],
      ['mistral', 'mistral', 7, 'bob'],
      ['gpt-oss', 'gpt-oss', 0, 'carol'],
    ],
  )
})

t.test('what is loaded is listed machine by machine', async (t) => {
  const { running } = await openRoom(t, { alice: ALICE, bob: BOB, carol: CAROL })
  t.strictSame(
    (await running()).map(({ name, size_vram, potluck }) => [name, size_vram, potluck.participants.join()]),
    [
      ['qwen3', 5, 'alice'],
      ['llama3.2:3b', 5, 'bob'],
    ],
  )
})

t.test('the version is the oldest one’s', async (t) => {
  const { version } = await openRoom(t, { alice: ALICE, bob: BOB, carol: CAROL })
  t.equal(await version(), '0.9.0')
  const others = await openRoom(t, { carol: CAROL })
  t.equal(await others.version(), '0.0.0')
})

t.test('a room that nobody is in has empty lists', async (t) => {
  const { tags, running, version } = await openRoom(t, {})
  t.strictSame([await tags(), await running(), await version()], [[], [], '0.0.0'])
})

t.test('who is offline is neither asked nor listed', async (t) => {
  const { pass, ...running } = await startTimedHub(t)
  const room = await openRoom(t, { alice: ALICE, bob: BOB }, {}, running)
  await pass(20_000)
  await call('POST', `${room.base}/health`, { id: 'bob' })
  await pass(20_000)
  t.strictSame(
    (await room.tags()).map(({ name, potluck }) => [name, potluck.participants.join()]),
    [
      ['llama3.2:3b', 'bob'],
      ['mistral', 'bob'],
    ],
  )
  t.equal(await room.version(), '0.9.0')
  t.equal(room.llms.alice!.requests.length, 0)
})

t.test('what is not on offer in the room is shown by no list', async (t) => {
  const { base } = await openRoom(t, { alice: { ...ALICE, answerer: ollamaWith('0.12.1', 'qwen3', 'private') } })
  for (const path of ['tags', 'ps', 'version']) {
    const { body } = await call('GET', `${base}/api/${path}`)
    t.notMatch(JSON.stringify(body), /private/, path)
  }
})

const huge = (bytes: number): Answerer => {
  return (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(`{"models":[{"name":"llama3.2:3b","size":9,"digest":"${'x'.repeat(bytes)}"}],"version":"9.9.9"}`)
  }
}

/** Each is a server that makes things difficult. */
const HOSTILE: Record<string, Answerer> = {
  'more than 256 KiB': huge(256 * 1024),
  'a redirect': (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  'no JSON': (_request, response) => void response.end('<html>'),
  'a list': answerJson([{ name: 'llama3.2:3b', size: 9 }]),
  'wrong types': answerJson({ models: { name: 'llama3.2:3b' }, version: { major: 1 } }),
  'an error with a list': answerJson({ models: [told('llama3.2:3b', { size: 9 })], version: '9.9.9' }, 500),
  'half an answer': (_request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{"models":[')
    setTimeout(() => response.destroy(), 10)
  },
  'no answer at all': (_request, response) => void response.destroy(),
}

t.test('servers that make things difficult take nothing from the others, and say nothing', async (t) => {
  const eve = { models: ['llama3.2:3b', 'evil'], answerer: llamaServer }
  for (const [what, answerer] of Object.entries(HOSTILE)) {
    const { tags, running, version } = await openRoom(t, { eve: { ...eve, answerer }, bob: BOB })
    t.strictSame(
      (await tags()).map(({ name, size }) => [name, size]),
      [
        ['llama3.2:3b', 7],
        ['evil', 0],
        ['mistral', 7],
      ],
      what,
    )
    t.strictSame(
      (await running()).map(({ potluck }) => potluck.participants),
      [['bob']],
      what,
    )
    t.equal(await version(), '0.9.0', what)
  }
})

t.test('just less than 256 KiB is read', async (t) => {
  const { tags } = await openRoom(t, { alice: { ...ALICE, answerer: huge(256 * 1024 - 200) } })
  const [first] = await tags()
  t.equal(first?.size, 9)
})

t.test('who never answers is not waited for for long, and others are listed', async (t) => {
  const room = await openRoom(t, { eve: { models: ['slow'], answerer: answerNever }, bob: BOB })
  const all = [room.tags(), room.running()] as const
  const [tags, running] = await Promise.all(all)
  t.strictSame(
    tags.map(({ name, size }) => [name, size]),
    [
      ['slow', 0],
      ['llama3.2:3b', 7],
      ['mistral', 7],
    ],
  )
  t.equal(running.length, 1)
  await room.llms.eve!.requests[0]!.closed
  t.ok(room.llms.eve!.requests[0]!.aborted, 'it is not kept waiting either')
})

t.test('a server is asked once in a while, however often its lists are read', async (t) => {
  const clock = manualClock()
  const { tags, version, llms } = await openRoom(t, { alice: ALICE }, { clock, healthTickMs: 60_000 })
  const asked = () => llms.alice!.requests.map(({ path }) => path)
  await Promise.all([tags(), tags(), tags()])
  clock.advance(4900)
  await tags()
  t.strictSame(asked(), ['/api/tags'])
  await version()
  t.strictSame(asked(), ['/api/tags', '/api/version'])
  clock.advance(200)
  await tags()
  t.strictSame(asked(), ['/api/tags', '/api/version', '/api/tags'])
})

t.test('one that could not answer is not asked all the time either', async (t) => {
  const clock = manualClock()
  const { tags, llms } = await openRoom(t, { carol: CAROL }, { clock, healthTickMs: 60_000 })
  for (let count = 0; count < 5; count++) await tags()
  t.equal(llms.carol!.requests.length, 1)
})

t.test('one that joins anew is asked anew', async (t) => {
  const clock = manualClock()
  const { url, room, tags, llms } = await openRoom(t, { alice: ALICE }, { clock, healthTickMs: 60_000 })
  await tags()
  await join(url, room.code, { id: 'alice', nickname: 'alice', model: 'mistral', endpoint: llms.alice!.url })
  t.strictSame(
    (await tags()).map(({ name }) => name),
    ['mistral'],
  )
  t.equal(llms.alice!.requests.length, 2)
})

t.test('the questions are the hub’s own: no client’s key, no event', async (t) => {
  const { url, base, llms } = await openRoom(t, { alice: ALICE })
  const events = await readEvents(t, `${base}/events`)
  for (const path of ['tags', 'ps', 'version'])
    await call('GET', `${base}/api/${path}`, undefined, { authorization: 'Bearer client' })
  for (const { method, headers, body } of llms.alice!.requests) {
    t.strictSame([method, body.length], ['GET', 0])
    t.notOk('authorization' in headers)
  }
  t.strictSame(await eventsSoFar(url, events), ['connected'])
})
