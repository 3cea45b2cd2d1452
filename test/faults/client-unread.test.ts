import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { chunked, STREAM_HEAD } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const STALL_MS = 1000
const scene = await openScene(t, { stallTimeoutMs: STALL_MS })

const MIB = 1024 * 1024
const EVENTS = STREAM_HEAD.replace('keep-alive', 'close')
const LAST = '0\r\n\r\n'
const LARGE = plain('x'.repeat(10 * MIB))
const DOCUMENTS = ['/openapi.json', '/docs/static/swagger-ui-bundle.js']

/** What waits in the hub for its clients to read. */
const waiting = () =>
  Array.from(scene.clients, ({ writableLength }) => writableLength).reduce((sum, bytes) => sum + bytes)

t.test('who reads nothing of 10 MB is cut off, and the participant let go', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const { id, peer } = await seat((socket) => void socket.end(LARGE))
    const client = dial()
    client.socket.pause()
    client.say(ask(id))
    await eventually(() => waiting() > 0, 'the hub waits')
    await goesOn()
    t.ok(waiting() < MIB, 'and holds little of it')
    await letGo()
    await eventually(() => peer.sockets.size === 0, 'the participant is let go')
  })
})

t.test('who reads nothing of a stream without end is cut off, and the participant let go', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const { id, peer } = await seat((socket) => {
      socket.write(EVENTS)
      keepOn(socket, 1, () => socket.writableNeedDrain || socket.write(chunked('data: on\n\n'.repeat(5000))))
    })
    const client = dial()
    client.socket.pause()
    client.say(ask(id))
    await eventually(() => waiting() > 0, 'the hub waits')
    await goesOn()
    await letGo()
    await eventually(() => peer.sockets.size === 0, 'the participant is let go')
  })
})

t.test('who does not read the end of an answer is cut off, though its participant is done', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const { id } = await seat(async (socket) => {
      socket.write(EVENTS)
      while (waiting() === 0 && !socket.destroyed) {
        socket.write(chunked('x'.repeat(32_000)))
        await sleep(1)
      }
      socket.end(LAST)
    })
    const client = dial()
    client.socket.pause()
    client.say(ask(id))
    await eventually(() => waiting() > 0 && scene.app.ollamaProxy.inFlight === 1, 'nothing but the end is left')
    await goesOn()
    await letGo()
  })
})

for (const path of DOCUMENTS) {
  t.test(`who asks for ${path} again and again and reads nothing of it is cut off, and little waits`, async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, letGo }) => {
      const client = dial()
      client.socket.pause()
      const asking = `GET ${path} HTTP/1.1\r\nHost: hub\r\n\r\n`.repeat(5)
      keepOn(client.socket, 1, () => client.socket.writableNeedDrain || client.say(asking))
      await eventually(() => waiting() > 0, 'the hub waits')
      await goesOn()
      await letGo()
    })
  })
}

t.test('an answer that waits behind another one too long is given up, and the other goes on', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const endless = await seat((socket) => {
      socket.write(EVENTS)
      keepOn(socket, 20, () => socket.write(chunked('data: on\n\n')))
    })
    const large = await seat((socket) => void socket.write(LARGE))
    const client = dial()
    client.say(ask(endless.id) + ask(large.id))
    await eventually(() => scene.app.ollamaProxy.inFlight === 3, 'both run')
    await goesOn()
    await eventually(() => large.peer.connections === 1 && large.peer.sockets.size === 0, 'the second is given up')
    t.equal(scene.app.ollamaProxy.inFlight, 2, 'its slot is free')
    t.equal(endless.peer.sockets.size, 1, 'the first goes on')
    for (const socket of endless.peer.sockets) socket.end(LAST)
    await letGo()
    const answers = client.answers()
    t.strictSame(
      answers.map(({ isWhole }) => isWhole),
      [true],
    )
  })
})

t.test('who reads in a hundred gulps leaves nothing behind at each of them', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const { id } = await seat((socket) => void socket.end(LARGE))
    const client = dial()
    client.socket.pause()
    client.say(ask(id))
    await eventually(() => waiting() > 0, 'the hub waits')
    for (let gulp = 0; gulp < 100; gulp++) {
      client.socket.resume()
      await new Promise(setImmediate)
      client.socket.pause()
      if (gulp === 50) await goesOn()
    }
    client.socket.resume()
    t.equal((await client.answered())[0]?.body.length, 10 * MIB)
  })
  t.strictSame(warnings, [], 'Node warns of listeners that pile up')
})

t.test(
  'who waits for an answer, reads slowly, or rests between two is not taken for one who does not read',
  async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
      const late = await seat((socket) => {
        setTimeout(() => socket.end(plain('"late"')), 1.7 * STALL_MS)
      })
      const large = await seat((socket) => void socket.end(LARGE))
      const [waiter, reader, rester] = [dial(), dial(), dial()]
      rester.say('GET /health HTTP/1.1\r\nHost: hub\r\n\r\n')
      await rester.answered()
      waiter.say(ask(late.id))
      reader.socket.pause()
      reader.say(ask(large.id))
      const timer = setInterval(() => {
        reader.socket.resume()
        setTimeout(() => reader.socket.pause(), 5)
      }, 100)
      await goesOn()
      t.equal((await waiter.answered())[0]?.body, '"late"')
      rester.say('GET /health HTTP/1.1\r\nHost: hub\r\n\r\n')
      t.equal((await rester.answered(2)).length, 2)
      t.equal((await reader.answered())[0]?.body.length, 10 * MIB)
      clearInterval(timer)
    })
  },
)
