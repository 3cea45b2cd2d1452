import dns from 'node:dns'
import { EventEmitter, once } from 'node:events'
import { isIP, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { connectionLimits, createConnections } from '../../plugins/access/connections.ts'
import { openFilesLimit } from '../../plugins/access/open-files.ts'
import type { HubOptions } from '../../src/hub.ts'
import { emptyFolder } from '../support/certificates.ts'
import { spawnHub } from '../support/child-hub.ts'
import { manualClock } from '../support/clock.ts'
import { startHub } from '../support/hub.ts'
import { dial, type RawClient } from '../support/raw-client.ts'
import { keepLog } from '../support/secret-log.ts'
import { eventually } from '../support/wire.ts'

const HEALTH = 'GET /health HTTP/1.1\r\nHost: hub\r\n\r\n'

/** The least that may be set. */
const MOST = 16

/** A hub that takes so many connections of each network; as many have come. */
async function openDoor(t: Test, options: HubOptions = {}) {
  const log = keepLog()
  const { hub, url } = await startHub(t, { networkConnections: MOST, logger: log.logger, ...options })
  const port = Number(new URL(url).port)
  const come = (): RawClient => {
    const client = dial(port)
    t.teardown(() => client.leave())
    return client
  }
  const first = Array.from({ length: MOST }, come)
  await Promise.all(first.map(({ socket }) => once(socket, 'ready')))
  return { hub, log, come, first }
}

async function isServed(client: RawClient): Promise<boolean> {
  const before = client.answers().length
  client.say(HEALTH)
  await eventually(() => client.isCut || client.answers().length > before, 'an answer or the end')
  return !client.isCut && client.answers().at(-1)?.status === 200
}

t.test('one too many of a network is closed, those before go on, and one that closes makes room', async (t) => {
  const { log, come, first } = await openDoor(t)
  const [watcher, asker, idle] = first as [RawClient, RawClient, RawClient]
  watcher.say('GET /events HTTP/1.1\r\nHost: hub\r\n\r\n')
  await watcher.hears('event: connected')
  t.ok(await isServed(asker))
  const late = come()
  await eventually(() => late.isCut, 'the end of the one too many')
  t.equal(late.heard(), '')
  t.ok(await isServed(asker))
  t.ok(await isServed(idle))
  t.notOk(watcher.isCut)
  t.match(log.lines.join(''), /"network":"127\.0\.0\.1","refused":1,.*POTLUCK_NETWORK_CONNECTIONS/)
  watcher.leave()
  // The hub hears of that in its own time.
  let next = come()
  for (let tries = 0; tries < 100 && !(await isServed(next)); tries += 1) next = come()
  t.notOk(next.isCut)
})

t.test('behind a proxy that is trusted everybody has the same address, and it has no bound', async (t) => {
  const { come } = await openDoor(t, { trustedProxies: ['127.0.0.0/8'] })
  for (const client of Array.from({ length: MOST }, come)) t.ok(await isServed(client))
})

t.test('behind TLS it is closed before any handshake', async (t) => {
  const { come, first } = await openDoor(t, { tls: true, dataDir: emptyFolder(t) })
  const late = come()
  await eventually(() => late.isCut, 'the end of the one too many')
  t.notOk(first.some(({ isCut }) => isCut))
})

t.test('at `localhost` there is one server, so that nobody comes in past it', async (t) => {
  const lookUp = (_host: string, options: { all?: boolean }, callback: (...answer: unknown[]) => void) => {
    const both = ['127.0.0.1', '::1'].map((address) => ({ address, family: isIP(address) }))
    if (options.all === true) callback(null, both)
    else callback(null, '127.0.0.1', 4)
  }
  const looked = t.capture(dns, 'lookup', lookUp)
  const { hub } = await startHub(t, { host: 'localhost' })
  const addresses = (await hub.app).addresses()
  t.match(addresses, [{ address: '127.0.0.1' }])
  t.equal(addresses.length, 1)
  t.equal(looked().filter(({ args }) => args[0] === 'localhost').length, 0)
})

// --- the counting alone

class Caller extends EventEmitter {
  readonly remoteAddress: string | undefined
  destroyed = false

  constructor(remoteAddress: string | undefined) {
    super()
    this.remoteAddress = remoteAddress
  }

  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

function build(perNetwork = 2) {
  const clock = manualClock()
  const told: { network: string; refused: number }[] = []
  const connections = createConnections({
    clock,
    perNetwork,
    isShared: (address) => address === '10.0.0.254',
    onRefused: (about) => told.push(about),
  })
  /** @returns whether it may stay */
  const come = (address: string | undefined): Caller => {
    const caller = new Caller(address)
    connections.admit(caller as unknown as Socket)
    return caller
  }
  const count = (...addresses: (string | undefined)[]) => addresses.filter((one) => !come(one).destroyed).length
  return { clock, told, connections, come, count }
}

t.test('each network has its own count, an IPv4 address one in whatever form', async (t) => {
  const { count } = build()
  t.equal(count('10.0.0.1', '::ffff:10.0.0.1', '10.0.0.1'), 2)
  t.equal(count('10.0.0.2', '10.0.0.2'), 2)
  t.equal(count('fd00:1:2:3::1', 'fd00:1:2:3::2', 'fd00:1:2:3:4::5'), 2)
  t.equal(count('fd00:1:2:4::1'), 1)
})

t.test('a proxy is not counted, nor who has gone before it was looked at', async (t) => {
  const { count } = build(1)
  t.equal(count('10.0.0.254', '10.0.0.254', undefined, undefined, '10.0.0.1'), 5)
})

t.test('who closes makes room for one, and who was refused for none', async (t) => {
  const { come, count } = build(2)
  const first = come('10.0.0.1')
  t.equal(count('10.0.0.1', '10.0.0.1', '10.0.0.1'), 1)
  first.destroy()
  t.equal(count('10.0.0.1', '10.0.0.1'), 1)
})

t.test('of a network that has gone nothing is kept', async (t) => {
  const { connections, come } = build(1)
  const [first, second] = [come('10.0.0.1'), come('10.0.0.2')]
  come('10.0.0.2')
  t.equal(connections.size, 2)
  first.destroy()
  second.destroy()
  t.equal(connections.size, 0)
})

t.test('it is told at once, and then once a minute, of whom there were how many', async (t) => {
  const { clock, told, connections, count } = build(1)
  count('10.0.0.1', '10.0.0.1', '10.0.0.1', '10.0.0.1')
  clock.advance(59_999)
  count('10.0.0.2', '10.0.0.2')
  t.strictSame(told, [{ network: '10.0.0.1', refused: 1 }])
  clock.advance(1)
  count('10.0.0.3')
  t.strictSame(told.slice(1), [
    { network: '10.0.0.1', refused: 2 },
    { network: '10.0.0.2', refused: 1 },
  ])
  count('10.0.0.3')
  connections.close()
  t.strictSame(told.slice(3), [{ network: '10.0.0.3', refused: 1 }])
})

const isTold = process.platform === 'linux' ? false : 'SKIPPED: this system does not tell how many files may be open'

t.test(
  'with few files that may be open a network gets less than was set, which the log says',
  { skip: isTold },
  async (t) => {
    const hub = spawnHub(t, ['--host', '127.0.0.1', '--port', '0'], {}, ['sh', '-c', 'ulimit -n 300; exec "$@"', 'sh'])
    await eventually(() => hub.log().includes('the hub listens'), 'the hub')
    t.match(hub.log(), /may have 300 files open \(ulimit -n\): a network gets 196 connections/)
  },
)

t.test('the hub holds itself to what the system lets it open', async (t) => {
  const { hub } = await startHub(t)
  const { total } = connectionLimits(4096, openFilesLimit())
  t.equal((await hub.app).server.maxConnections, Number.isFinite(total) ? total : undefined)
})

t.test('beyond what all may have the next one is closed, and that is told', async (t) => {
  const { hub, log, come } = await openDoor(t, { networkConnections: 2 * MOST })
  const { server } = await hub.app
  server.maxConnections = MOST
  const late = come()
  await eventually(() => late.isCut, 'the end of the one too many')
  await eventually(() => log.lines.join('').includes('"refused":1'), 'the line about it')
  t.match(log.lines.join(''), /"network":"127\.0\.0\.1","refused":1/)
})

t.test('however few files may be open: some are left for the hub, and some for others', async (t) => {
  t.strictSame(connectionLimits(4096, 300), { total: 262, perNetwork: 196 })
  t.strictSame(connectionLimits(4096, 1_048_576), { total: 917_504, perNetwork: 4096 })
  t.strictSame(connectionLimits(4096, Number.POSITIVE_INFINITY), {
    total: Number.POSITIVE_INFINITY,
    perNetwork: 4096,
  })
  t.strictSame(connectionLimits(16, 1), { total: 1, perNetwork: 1 })
})
