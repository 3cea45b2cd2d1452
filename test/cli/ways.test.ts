import { join } from 'node:path'
import t from 'tap'
import { is } from '../support/cli.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { kitchen, standBefore } from './kit.ts'

t.test('where no WebSocket gets through the hub calls the server itself, and that is said', async (t) => {
  const { hub, room, code, llm, laptop } = await kitchen(t)
  const proxy = await standBefore(t, hub)
  const alice = laptop.start(['join', code, '--hub', proxy.url, '--endpoint', llm.url, '--no-specs', '--id', 'alice'])
  t.match(await alice.until(is('notice')), { message: /^No tunnel: .*WebSockets/ })
  t.match(await alice.until(is('joined')), { via: 'direct', participantId: 'alice' })
  t.match((await room.look('alice')).body.participant, { status: 'online', endpoint: llm.url })
  t.equal((await room.chat()).body.choices?.[0]?.message.content, 'served')
})

t.test('a hub of before the tunnel likewise', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t)
  const proxy = await standBefore(t, hub, ({ path, body }, response) => {
    if (!path.endsWith('/join') || !body.includes('"tunnel":true')) return false
    response.writeHead(400).end('{"error":"Missing required fields: id, nickname, model, endpoint"}')
    return true
  })
  const alice = laptop.start(['join', code, '--hub', proxy.url, '--endpoint', llm.url, '--no-specs'])
  t.match(await alice.until(is('joined')), { via: 'direct' })
})

t.test('a hub that speaks another version of tunnels: it says which, and ends', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t)
  const proxy = await standBefore(t, hub, ({ path }, response) => {
    if (!path.endsWith('/tunnel')) return false
    response.writeHead(426, { 'x-potluck-tunnel': 'potluck.tunnel.v9', upgrade: 'websocket' })
    response.end(
      '{"error":"This hub speaks tunnels of the version potluck.tunnel.v9: update potluck on the older side"}',
    )
    return true
  })
  const { code: exitCode, stderr } = await laptop.run([
    'join',
    code,
    '--hub',
    proxy.url,
    '--endpoint',
    llm.url,
    '--no-specs',
  ])
  t.equal(exitCode, 76)
  t.match(stderr, /potluck\.tunnel\.v9.*update potluck/)
})

const KEY = 'Bearer sk-of-the-owner'

/** A provider that answers to its customer alone. */
function startProvider(t: Parameters<typeof startFakeLlm>[0]) {
  const answer = tells(FINDABLE.openai!(['gpt-local']))
  return startFakeLlm(t, (request, response) => {
    if (request.headers.authorization === KEY) return answer(request, response)
    response.writeHead(401).end()
  })
}

t.test('credentials of a provider are used here, and known to nobody else', async (t) => {
  const { hub, room, code, laptop } = await kitchen(t)
  const provider = await startProvider(t)
  const seen: string[] = []
  const proxy = await standBefore(t, hub, ({ headers, body }) => {
    seen.push(JSON.stringify(headers) + body.toString())
    return false
  })
  const args = [
    '--endpoint',
    provider.url,
    '--header',
    `Authorization: ${KEY}`,
    '--header',
    'X-Org: ours',
    '--no-specs',
  ]
  const alice = laptop.start(['join', code, '--hub', hub, ...args])
  t.match(await alice.until(is('joined')), { kind: 'openai', models: ['gpt-local'], via: 'tunnel' })
  t.equal((await room.chat({ model: 'gpt-local' })).body.choices?.[0]?.message.content, 'served')
  t.match(provider.requests.at(-1)?.headers, { authorization: KEY, 'x-org': 'ours' })
  t.notMatch(JSON.stringify((await room.look('openai')).body), 'sk-of-the-owner')
  alice.child.kill('SIGINT')
  const { stdout, stderr } = await alice.ended
  t.notMatch(stdout + stderr, 'sk-of-the-owner')

  // Where the tunnel does not stand there is no other way that would keep them.
  const blocked = await laptop.run(['join', code, '--hub', proxy.url, ...args])
  t.equal(blocked.code, 69)
  t.ok(seen.length > 2)
  t.notMatch(seen.join('\n'), 'sk-of-the-owner')
})

t.test('credentials from a file and from the environment stand in no list of processes', async (t) => {
  const { hub, code, laptop } = await kitchen(t)
  const provider = await startProvider(t)
  const file = join(t.testdir({ 'key.txt': `\r\nAuthorization: ${KEY}\r\nX-Team: file\r\n` }), 'key.txt')
  const args = ['join', code, '--hub', hub, '--endpoint', provider.url, '--no-specs', '--header', `@${file}`]
  const alice = laptop.start(args, { env: { POTLUCK_HEADERS: 'X-Org: ours\nX-Team: environment\n' } })
  await alice.until(is('joined'))
  t.match(provider.requests.at(-1)?.headers, { authorization: KEY, 'x-org': 'ours', 'x-team': 'file' })
})

t.test('--direct opens no tunnel', async (t) => {
  const { room, llm, join } = await kitchen(t)
  const alice = await join('--direct')
  t.match(alice.events().find(is('joined')), { via: 'direct' })
  t.match((await room.look('alice-ollama')).body.participant, { endpoint: llm.url, status: 'online' })
  t.equal((await room.chat()).body.choices?.[0]?.message.content, 'served')
})

t.test('--manage lets the room change the models, and without it nobody can', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join('--manage')
  t.match((await room.look('alice-ollama')).body.participant, { manage: true })
  alice.child.kill('SIGINT')
  await alice.ended
  await join()
  t.equal((await room.look('alice-ollama')).body.participant.manage, undefined)
})
