import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { endpointOf, findServers, ollamaHost, usualPlaces } from '../../src/agent/llm/find.ts'
import { lookAt } from '../../src/agent/llm/server.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { join, openRoom, startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'

const MODELS = ['llama3.2:3b', 'qwen3:8b']

for (const [kind, told] of Object.entries(FINDABLE)) {
  t.test(`${kind} is told by what it answers, with its models`, async (t) => {
    const { url } = await startFakeLlm(t, tells(told(MODELS)))
    t.same(await lookAt(url), { kind: 'found', server: { url, kind, models: MODELS } })
  })
}

t.test('all places are looked at, and each server is found once', async (t) => {
  const one = await startFakeLlm(t, tells(FINDABLE.ollama!(['a'])))
  const other = await startFakeLlm(t, tells(FINDABLE.vllm!(['b'])))
  const { port } = new URL(one.url)
  const places = [one.url, `http://localhost:${port}`, other.url, 'http://127.0.0.1:1']
  const { servers } = await findServers({ places })
  t.same(
    servers.map(({ kind, models }) => [kind, models]),
    [
      ['ollama', ['a']],
      ['vllm', ['b']],
    ],
  )
})

t.test('a server without models is found, with none', async (t) => {
  const { url } = await startFakeLlm(t, tells(FINDABLE.ollama!([])))
  t.same(await lookAt(url), { kind: 'found', server: { url, kind: 'ollama', models: [] } })
})

t.test('names that a room would not take are left out', async (t) => {
  const { url } = await startFakeLlm(
    t,
    tells(FINDABLE.openai!(['good', 'any', '*', 'model:x', 'es\u001Bcape', 'x'.repeat(201), ' '])),
  )
  const look = await lookAt(url)
  t.same(look.kind === 'found' ? look.server.models : look, ['good'])
})

t.test('a server that wants a key says so, and with it tells its models', async (t) => {
  const answer = tells(FINDABLE.openai!(MODELS))
  const { url } = await startFakeLlm(t, (request, response) => {
    if (request.headers.authorization === 'Bearer secret') return answer(request, response)
    response.writeHead(401).end()
  })
  t.equal((await lookAt(url)).kind, 'locked')
  t.equal((await lookAt(url, { authorization: 'Bearer secret' })).kind, 'found')
})

t.test('what is no LLM server is none, and what it answered is said', async (t) => {
  const { url } = await startFakeLlm(t, (_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<html>')
  })
  t.match(await lookAt(url), { kind: 'stranger', reason: 'GET /v1/models answered 200' })
})

t.test('a hub is not taken for a server of this machine', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  t.match(await lookAt(url), { kind: 'hub' })
})

/** Takes connections, and does this with them. */
async function listen(t: Test, onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer(onConnection).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('nothing there, something silent, something that is no HTTP: each says so', async (t) => {
  t.match(await lookAt('http://127.0.0.1:1'), { kind: 'silent', reason: 'nothing listens there' })
  const silent = await listen(t, (socket) => socket.on('error', () => {}))
  t.match(await lookAt(silent), { kind: 'silent', reason: /did not answer within/ })
  const babble = await listen(t, (socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH\r\n'))
  t.match(await lookAt(babble), { kind: 'silent' })
})

t.test('an answer without end is not read to the end', async (t) => {
  let sent = 0
  const { url, sockets } = await startFakeLlm(t, (_request, response) => {
    response.setHeader('content-type', 'application/json')
    const block = 'x'.repeat(64 * 1024)
    const more = () => {
      while (!response.destroyed && response.write(block)) sent += block.length
    }
    response.on('drain', more)
    more()
  })
  t.match(await lookAt(url), { kind: 'stranger' })
  t.ok(sent < 64 * 1024 * 1024, `${sent} bytes`)
  t.equal([...sockets].filter((socket) => !socket.destroyed && socket.readyState === 'open').length <= 2, true)
})

t.test('OLLAMA_HOST means what it means to Ollama', async (t) => {
  const meanings: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['10.0.0.5', 'http://10.0.0.5:11434'],
    ['10.0.0.5:9999', 'http://10.0.0.5:9999'],
    [':9999', 'http://127.0.0.1:9999'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['0.0.0.0:80', 'http://127.0.0.1:80'],
    ['[::]:9999', 'http://[::1]:9999'],
    ['http://box', 'http://box:80'],
    ['https://box', 'https://box:443'],
    ['https://box:8443/ollama/', 'https://box:8443/ollama'],
    ['"10.0.0.5"', 'http://10.0.0.5:11434'],
    ['ftp://box', undefined],
  ]
  for (const [value, meaning] of meanings) t.equal(ollamaHost(value), meaning, String(value))
  t.equal(usualPlaces({ OLLAMA_HOST: '10.0.0.5' })[0], 'http://10.0.0.5:11434')
})

t.test('the usual ports, on both loopback addresses', async (t) => {
  const places = usualPlaces({})
  for (const port of [11434, 1234, 8080, 8000, 1337]) {
    t.ok(places.includes(`http://127.0.0.1:${port}`))
    t.ok(places.includes(`http://[::1]:${port}`))
  }
})

t.test('credentials go only where they were meant to', async (t) => {
  const { port, requests } = await startFakeLlm(t, tells(FINDABLE.openai!(MODELS)))
  await findServers({ env: { OLLAMA_HOST: `127.0.0.1:${port}` }, headers: { authorization: 'Bearer secret' } })
  t.ok(requests.length > 0)
  t.ok(requests.every(({ headers }) => headers.authorization === undefined))
})

t.test('an endpoint as people type it', async (t) => {
  t.equal(endpointOf('localhost:1234'), 'http://localhost:1234')
  t.equal(endpointOf('http://localhost:1234/v1/'), 'http://localhost:1234')
  t.equal(endpointOf('https://llm.example/base/v1'), 'https://llm.example/base')
  t.equal(endpointOf('http://user:secret@box'), undefined)
  t.equal(endpointOf('http://'), undefined)
})
