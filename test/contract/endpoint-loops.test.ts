import { hostname, networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { openRoom, startHub } from '../support/hub.ts'
import { send } from '../support/wire.ts'

interface JoinAt {
  status: number
  text: string
}

/** Joins are judged by the text of the endpoint alone: nothing is sent to any of these addresses. */
async function startRoom(t: Test) {
  const { url } = await startHub(t)
  const path = `${url}/rooms/${(await openRoom(url)).room.code}/join`
  let count = 0
  const joinAt = (endpoint: string, headers: Record<string, string> = {}): Promise<JoinAt> => {
    count += 1
    const entry = { id: `p${count}`, nickname: 'Loop', model: 'llama3.2:3b', endpoint }
    return send('POST', path, { headers, body: JSON.stringify(entry) })
  }
  return { port: new URL(url).port, joinAt }
}

async function refuses(t: Test, hosts: readonly string[]): Promise<void> {
  const { port, joinAt } = await startRoom(t)
  for (const host of hosts) {
    const { status, text } = await joinAt(`http://${host}:${port}`)
    t.equal(status, 400, host)
    t.match(text, /own address/)
  }
}

t.test('an endpoint that is the hub itself is refused: loopback names', async (t) => {
  await refuses(t, ['localhost', 'LocalHost', 'localhost.', 'hub.localhost'])
})

t.test('an endpoint that is the hub itself is refused: 127.x, however it is written', async (t) => {
  await refuses(t, ['127.0.0.1', '127.1.2.3', '127.1', '2130706433', '0x7f.0.0.1', '0177.0.0.1', '127.0.0.1.'])
})

t.test('an endpoint that is the hub itself is refused: the address that means any', async (t) => {
  await refuses(t, ['0.0.0.0', '0', '[::]'])
})

t.test('an endpoint that is the hub itself is refused: [::1] and IPv4 mapped into IPv6', async (t) => {
  await refuses(t, ['[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]'])
})

t.test("an endpoint that is the hub itself is refused: the machine's own addresses", async (t) => {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const hosts = all.map(({ address, family }) => (family === 'IPv6' ? `[${address.replace(/%.*/, '')}]` : address))
  await refuses(t, hosts)
})

t.test(
  "an endpoint that is the hub itself is refused: the machine's own IPv4 addresses mapped into IPv6",
  async (t) => {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    await refuses(
      t,
      all.flatMap(({ address, family }) => (family === 'IPv4' ? [`[::ffff:${address}]`] : [])),
    )
  },
)

t.test("an endpoint that is the hub itself is refused: the machine's own name", async (t) => {
  await refuses(t, [hostname(), hostname().toUpperCase()])
})

t.test('an endpoint that is the hub itself is refused with any path, and with /v1', async (t) => {
  const { port, joinAt } = await startRoom(t)
  for (const path of ['/', '/v1', '/rooms/ABC234/v1', '/v1/']) {
    t.equal((await joinAt(`http://127.0.0.1:${port}${path}`)).status, 400, path)
  }
})

t.test("an endpoint that is the hub itself is refused: the Host header's name", async (t) => {
  const { port, joinAt } = await startRoom(t)
  const host = `potluck.lan:${port}`
  for (const endpoint of [`http://${host}`, `http://POTLUCK.lan:${port}/v1`, `http://potluck.lan.:${port}`]) {
    t.equal((await joinAt(endpoint, { host })).status, 400, endpoint)
  }
})

t.test('an endpoint that is the hub itself is refused: a mapped port', async (t) => {
  const { joinAt } = await startRoom(t)
  const headers = { host: 'potluck.lan:8080' }
  t.equal((await joinAt('http://potluck.lan:8080', headers)).status, 400)
  t.equal((await joinAt('http://127.0.0.1:8080', headers)).status, 400)
})

t.test("an endpoint that is the hub itself is refused: the Host header's name at the scheme's own port", async (t) => {
  const { joinAt } = await startRoom(t)
  const headers = { host: 'potluck.lan' }
  for (const endpoint of ['http://potluck.lan', 'http://potluck.lan:80', 'http://potluck.lan/v1']) {
    t.equal((await joinAt(endpoint, headers)).status, 400, endpoint)
  }
})

t.test('another port of the same machine is no loop: an LLM server beside the hub', async (t) => {
  const { joinAt } = await startRoom(t)
  for (const endpoint of ['http://127.0.0.1:1', 'http://localhost:11434', 'http://[::1]:11434/v1']) {
    t.equal((await joinAt(endpoint)).status, 201, endpoint)
  }
})

t.test("another machine with the hub's port is no loop", async (t) => {
  const { port, joinAt } = await startRoom(t)
  t.equal((await joinAt(`http://10.9.8.7:${port}`)).status, 201)
  t.equal((await joinAt(`http://gpu-box.lan:${port}`)).status, 201)
})
