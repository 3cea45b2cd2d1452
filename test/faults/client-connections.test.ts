import { once } from 'node:events'
import t from 'tap'
import { chunked } from '../support/raw-llm.ts'
import { eventually, send } from '../support/wire.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const scene = await openScene(t)

const HEALTH = 'GET /health HTTP/1.1\r\nHost: hub\r\n\r\n'
const EVENTS =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'

t.test('a thousand connections that say nothing keep nobody from being served', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const before = scene.clients.size
    for (let opened = 0; opened < 1000; opened += 100) {
      const batch = Array.from({ length: 100 }, () => dial())
      await Promise.all(batch.map(({ socket }) => once(socket, 'connect')))
    }
    await goesOn()
    // The kernel takes them before the hub does.
    await eventually(() => scene.clients.size > before + 900, 'they are held')
    const { id } = await seat((socket) => void socket.end(plain('{}')))
    const client = dial()
    client.say(ask(id))
    t.equal((await client.answered())[0]?.status, 200)
    t.equal((await send('GET', `${scene.url}/health`)).status, 200)
    await goesOn()
  })
})

/** Each is more than a head may have. */
const FLOODS: [string, string][] = [
  ['a large header', `X: ${'x'.repeat(20_000)}\r\n\r\n`],
  ['a large name of a header', `${'x'.repeat(20_000)}: x\r\n\r\n`],
  ['many headers', `${'a:b\r\n'.repeat(1100)}\r\n`],
  ['large ones for ever', `${'X: '.padEnd(1000, 'x')}\r\n`.repeat(1000)],
]

t.test('too many headers, or too large ones, are 431', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, letGo }) => {
    const clients = FLOODS.map(([, headers]) => {
      const client = dial()
      client.say(`GET /health HTTP/1.1\r\nHost: hub\r\n${headers}`)
      return client
    })
    const slow = dial()
    slow.say('GET /health HTTP/1.1\r\nHost: hub\r\nX: ')
    keepOn(slow.socket, 1, () => slow.say('x'.repeat(500)))
    const line = dial()
    line.say(`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: hub\r\n\r\n`)
    await goesOn()
    await letGo()
    for (const [at, client] of [...clients, slow, line].entries()) {
      const statuses = client.answers().map(({ status }) => status)
      t.strictSame(statuses, [431], `${at}: ${FLOODS[at]?.[0]}`)
    }
  })
})

t.test('clients that reset the connection, however far they came, leave nothing', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const { id } = await seat((socket) => void socket.write(EVENTS + chunked('data: 1\n\n')))
    const request = ask(id)
    const cuts = [0, 1, 20, request.indexOf('\r\n\r\n'), request.length - 5, request.length]
    for (const round of [1, 2, 3, 4, 5]) {
      const clients = cuts.map((cut) => {
        const client = dial()
        client.say(request.slice(0, cut))
        return client
      })
      await Promise.all(clients.map(({ socket }) => once(socket, 'connect')))
      // At once, or when the hub has had the time to see what was said.
      if (round % 2 === 0) await goesOn()
      for (const { socket } of clients) socket.resetAndDestroy()
    }
    const streaming = dial()
    streaming.say(request)
    await streaming.hears('data: 1')
    streaming.socket.resetAndDestroy()
    await goesOn()
  })
})

t.test('a client that closes its side has gone, and holds nothing by keeping the other one open', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const { id, peer } = await seat((socket) => void socket.write(EVENTS + chunked('data: 1\n\n')))
    const request = ask(id)
    const [silent, early, late, streaming] = [dial(), dial(), dial(), dial()]
    silent.socket.end()
    early.socket.end(request.slice(0, -5))
    late.socket.end(request)
    streaming.say(request)
    await streaming.hears('data: 1')
    streaming.socket.end()
    await goesOn()
    await letGo()
    t.equal(early.answers()[0]?.status, 400)
    t.ok(peer.requests.length <= 2, 'what was not whole reached nobody')
  })
})

t.test(
  'an upgrade is not done: the request is answered as it is, and no word of it reaches the participant',
  async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
      const { id, peer } = await seat((socket) => void socket.end(plain('{}')))
      const [h2c, socket, tunnel] = [dial(), dial(), dial()]
      h2c.say(ask(id, 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'))
      socket.say(
        'GET /events HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n\r\n',
      )
      tunnel.say('CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n')
      await socket.hears('event: connected')
      t.equal((await h2c.answered())[0]?.status, 200)
      t.notOk(/^(?:upgrade|http2-settings|connection: .*upgrade)/im.test(`${peer.requests[0]}`))
      h2c.say(HEALTH)
      t.equal((await h2c.answered(2))[1]?.status, 200)
      await goesOn()
      socket.leave()
      h2c.leave()
      await letGo()
      t.equal(tunnel.heard(), '')
    })
  },
)

t.test('HTTP/1.0 is answered without chunks, and the connection closed', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const whole = await seat((socket) => void socket.end(plain('{}')))
    const stream = await seat((socket) => void socket.end(`${EVENTS}${chunked('data: 1\n\n').repeat(2)}0\r\n\r\n`))
    const broken = await seat((socket) => void socket.end(`${EVENTS}${chunked('data: 1\n\n').repeat(2)}`))
    const heard = await Promise.all(
      [whole, stream, broken].map(async ({ id }) => {
        const client = dial()
        client.say(ask(id).replace('HTTP/1.1', 'HTTP/1.0'))
        return client
      }),
    )
    await goesOn()
    await letGo()
    const [plainOne, streamed, cut] = heard.map((client) => client.answers())
    t.strictSame(
      plainOne?.map(({ body }) => body),
      ['{}'],
    )
    t.strictSame(
      streamed?.map(({ body }) => body),
      ['data: 1\n\ndata: 1\n\n'],
    )
    t.match(cut?.[0]?.body, /^data: 1\n\ndata: 1\n\ndata: {"error":{"message":"guest\d+ broke off/)
    for (const answers of [plainOne, streamed, cut]) t.notOk(/transfer-encoding/i.test(`${answers?.[0]?.head}`))
  })
})
