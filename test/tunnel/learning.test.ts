import t from 'tap'
import { answerNever, answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { llamaCpp, ollama, type Told, tells } from '../support/llm-kinds.ts'
import { readEvents } from '../support/sse.ts'
import { joinByTunnel } from '../support/tunnels.ts'
import { eventually } from '../support/wire.ts'

/** A hub that asks servers what they are, and one server behind a tunnel. */
async function setUp(t: Parameters<typeof startHub>[0], told: Told) {
  const llm = await startFakeLlm(t, tells(told, answerPlain('served')))
  const { url } = await startHub(t, { learnIntervalMs: 50, defaultSlots: 1 })
  const { room } = await openRoom(url)
  const base = `${url}/rooms/${room.code}`
  const events = await readEvents(t, `${base}/events`)
  const joined = await joinByTunnel(t, url, room.code, llm.url)
  const ask = (body: object) =>
    call('POST', `${base}/v1/chat/completions`, { model: 'llama3.2:3b', messages: [], ...body })
  return { llm, base, events, ask, ...joined }
}

const asked = ({ requests }: FakeLlm, path: string) => requests.filter((request) => request.path === path).length

t.test('how many requests a llama.cpp server takes is learnt through the tunnel', async (t) => {
  const told = llamaCpp(3, 4096)
  const { llm, events, ask } = await setUp(t, told)
  // A room that is used is looked at again; asked for the second time, what came of the first is known.
  await ask({})
  await eventually(() => asked(llm, '/props') >= 2, 'it was asked')
  llm.answer(tells(told, answerNever))
  for (let sent = 0; sent < 5; sent++) void ask({}).catch(() => {})
  for (let started = 0; started < 4; started++) await events.next('llm:request')
  for (let queued = 0; queued < 2; queued++) await events.next('llm:queued')
  await eventually(() => llm.requests.filter(({ method }) => method === 'POST').length === 4, 'three are there')
})

t.test('what an Ollama server’s models can do is learnt through the tunnel', async (t) => {
  const { llm, ask } = await setUp(t, ollama({ 'llama3.2:3b': ['completion'] }, { 'llama3.2:3b': 8192 }))
  t.equal((await ask({})).status, 200)
  await eventually(() => asked(llm, '/api/show') >= 2, 'it was asked')
  const { status, body } = await ask({ tools: [{ type: 'function', function: { name: 'cook' } }] })
  t.equal(status, 400)
  t.match(body, { error: { message: /call tools/ } })
  t.equal((await ask({})).status, 200)
})

t.test('the room’s lists are made of what the tunnel’s server tells; the hub’s questions count as such', async (t) => {
  const tags = { models: [{ name: 'llama3.2:3b', model: 'llama3.2:3b', size: 42, digest: 'abc', details: {} }] }
  const told = { ...ollama({}, { 'llama3.2:3b': 8192 }), 'GET /api/tags': tags }
  const { base, served } = await setUp(t, told)
  const listed = await call<{ models: { name: string; size: number }[] }>('GET', `${base}/api/tags`)
  t.match(listed.body, { models: [{ name: 'llama3.2:3b', size: 42 }] })
  t.match((await call('GET', `${base}/api/version`)).body, { version: '0.12.6' })
  t.match((await call('GET', `${base}/api/ps`)).body, { models: [{ name: 'llama3.2:3b' }] })
  t.ok(served.length > 2 && served.every(({ isQuestion }) => isQuestion))
})
