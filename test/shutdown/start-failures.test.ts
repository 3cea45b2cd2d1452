import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { spawnHub, startChildHub } from '../support/child-hub.ts'

/** sysexits.h: EX_CONFIG. */
const EX_CONFIG = 78

const LOOPBACK = ['--host', '127.0.0.1', '--port', '0']

for (const [what, flags, env, message] of [
  ['a flag', ['--port', 'x'], {}, '--port is "x", but must be a whole number from 0 to 65535'],
  ['a variable', [], { PORT: '70000' }, 'PORT is "70000", but must be a whole number from 0 to 65535'],
  ['a time', ['--room-ttl', '7 days'], {}, '--room-ttl is "7 days", but must be a time like 90s, 30m, 12h or 7d'],
  ['a level', [], { POTLUCK_LOG_LEVEL: 'loud' }, 'POTLUCK_LOG_LEVEL is "loud", but must be one of trace, debug, info'],
  ['a boolean', ['--address-trust', 'no'], {}, '--address-trust is "no", but must be true or false'],
] as const) {
  t.test(`${what} with a wrong value stops the start: exit 78, and the sentence says what is allowed`, async (t) => {
    const { code, stdout, stderr } = await spawnHub(t, flags, env).exited
    t.equal(code, EX_CONFIG)
    t.ok(stderr.startsWith(`potluck: ${message}`), stderr)
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line, no stack')
    t.equal(stdout, '')
  })
}

t.test('a flag that the hub does not know stops the start', async (t) => {
  const { code, stderr } = await spawnHub(t, ['--prot', '3000']).exited
  t.ok(code !== 0)
  t.match(stderr, /unknown option '--prot'/)
})

t.test('a port that is taken: the sentence says which, and what to do', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, stdout, stderr } = await spawnHub(t, ['--host', '127.0.0.1', '--port', String(port)]).exited
  t.equal(code, 1)
  t.equal(stderr, `potluck: port ${port} is taken: stop what uses it, or set PORT to another\n`)
  t.notMatch(stdout, /the hub listens/)
})

t.test('a host that is no address of this machine: the sentence says so', async (t) => {
  // A documentation address (RFC 5737): nothing is sent to it, the kernel refuses to bind it.
  const { code, stderr } = await spawnHub(t, ['--host', '192.0.2.1', '--port', '0']).exited
  t.equal(code, 1)
  t.equal(stderr, 'potluck: HOST 192.0.2.1 is no address of this machine\n')
})

t.test('a variable that looks like a setting and is none: a warning, and the hub starts', async (t) => {
  const hub = spawnHub(t, LOOPBACK, { POTLUCK_ROOM_TLL: '7d' })
  while (!hub.log().includes('the hub listens')) await once(hub.child.stdout as NodeJS.ReadableStream, 'data')
  t.match(hub.log(), 'POTLUCK_ROOM_TLL is no setting of the hub: is it misspelt?')
  hub.child.kill('SIGTERM')
  t.equal((await hub.exited).code, 0)
})

t.test('a hub that starts says where it listens, and answers there', async (t) => {
  const { url, log } = await startChildHub(t)
  t.match(log(), `the hub listens at ${url}`)
  t.equal((await fetch(`${url}/readyz`)).status, 200)
})
