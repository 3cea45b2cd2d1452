import type { Socket } from 'node:net'
import t from 'tap'
import type { RawClient } from '../support/raw-client.ts'
import { chunked, startPeer } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { openScene, plain, withstand } from './kit.ts'

const MIB = 1024 * 1024
const scene = await openScene(t, { firstByteTimeoutMs: 1500, idleTimeoutMs: 1500, inferenceBodyLimit: 128 * MIB })

const PIECE = Buffer.alloc(64 * 1024, 'x')

/** The head of an upload, which is passed on as it comes. */
const head = (id: string, framing: string) =>
  `POST ${scene.room}/v1/audio/transcriptions HTTP/1.1\r\nHost: hub\r\nX-Potluck-Model: ${id}\r\nContent-Type: audio/wav\r\n${framing}\r\n\r\n`

interface Pump {
  /** Bytes of the body that were taken so far. */
  readonly sent: number
  ended: Promise<void>
}

/** Sends a body of that length as fast as it is taken. */
function pump({ socket }: RawClient, bytes: number): Pump {
  let sent = 0
  const ended = (async () => {
    while (sent < bytes && !socket.destroyed) {
      const piece = PIECE.subarray(0, bytes - sent)
      if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
      sent += piece.length
    }
  })()
  return {
    get sent() {
      return sent
    },
    ended,
  }
}

const REFUSAL = plain('{"error":"no"}').replace('200 OK', '401 Unauthorized')

/** Each answers before it has the request's body. */
const EARLY: [string, (socket: Socket) => void][] = [
  ['reads nothing', (socket) => void socket.pause().write(REFUSAL)],
  ['reads the rest', (socket) => void socket.resume().write(REFUSAL)],
  ['closes', (socket) => void socket.resume().end(REFUSAL)],
]

for (const [what, how] of EARLY) {
  t.test(
    `an answer before the request was read, of one who ${what}, reaches the client, whose body is taken to its end`,
    async (t) => {
      await withstand(t, scene, async ({ seatRaw, dial, goesOn, ask, seat }) => {
        const { id, peer } = await seatRaw((socket) => void socket.once('readable', () => how(socket)))
        const next = await seat((socket) => void socket.end(plain('{}')))
        const client = dial()
        client.say(head(id, `Content-Length: ${24 * MIB}`))
        const { ended } = pump(client, 24 * MIB)
        await client.hears('{"error":"no"}')
        await goesOn()
        await ended
        client.say(ask(next.id))
        const answers = await client.answered(2)
        t.strictSame(
          answers.map(({ status, body }) => [status, body]),
          [
            [401, '{"error":"no"}'],
            [200, '{}'],
          ],
        )
        t.equal(peer.connections, 1)
      })
    },
  )
}

t.test('an answer may begin before the request has ended', async (t) => {
  await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
    const { id } = await seatRaw((socket) => {
      socket.once('data', () =>
        socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'),
      )
      socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('first')) socket.write(chunked('heard the first'))
        if (chunk.includes('last')) socket.end(`${chunked(', and the last')}0\r\n\r\n`)
      })
    })
    const client = dial()
    client.say(`${head(id, 'Transfer-Encoding: chunked')}${chunked('first')}`)
    await client.hears('heard the first')
    await goesOn()
    client.say(`${chunked('last')}0\r\n\r\n`)
    t.equal((await client.answered())[0]?.body, 'heard the first, and the last')
  })
})

t.test('a participant that never reads makes the client stop sending, and is given up', async (t) => {
  await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
    const { id } = await seatRaw((socket) => void socket.pause())
    const client = dial()
    const before = process.memoryUsage().arrayBuffers
    client.say(head(id, `Content-Length: ${64 * MIB}`))
    const upload = pump(client, 64 * MIB)
    for (let sent = -1; sent < upload.sent; ) {
      sent = upload.sent
      await goesOn()
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    t.ok(upload.sent < 32 * MIB, `${Math.round(upload.sent / MIB)} MiB were taken`)
    t.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB, 'little of it waits in the hub')
    const [answer] = await client.answered()
    t.strictSame([answer?.status, /No answer in time/.test(answer?.body ?? '')], [502, true])
    await upload.ended
  })
})

t.test(
  'a client that leaves where its upload is read by nobody holds nothing beyond the limit of the answer',
  async (t) => {
    await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
      const { id } = await seatRaw((socket) => void socket.pause())
      const client = dial()
      client.say(head(id, `Content-Length: ${64 * MIB}`))
      void pump(client, 64 * MIB)
      const isFull = () => Array.from(scene.upstreams).some(({ writableNeedDrain }) => writableNeedDrain)
      await eventually(isFull, 'the hub waits for the participant')
      client.leave()
      await goesOn()
      await eventually(() => scene.app.ollamaProxy.inFlight === 1, 'its slot is free')
    })
  },
)

t.test('a participant that never reads a body which the hub holds is given up', async (t) => {
  await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
    const { id } = await seatRaw((socket) => void socket.pause())
    const client = dial()
    const body = JSON.stringify({ model: id, padding: 'x'.repeat(10 * MIB) })
    client.say(`POST ${scene.chatPath} HTTP/1.1\r\nHost: hub\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
    await goesOn()
    t.equal((await client.answered())[0]?.status, 502)
  })
})

/** Each goes away in the midst of the request's body. */
const LEAVES: [string, (socket: Socket) => void][] = [
  ['closes', (socket) => void socket.end()],
  ['resets', (socket) => void socket.resetAndDestroy()],
  ['is no HTTP', (socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n')],
]

for (const [what, how] of LEAVES) {
  t.test(`an upload whose participant ${what} in the midst is 502, and is not sent again`, async (t) => {
    await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
      const { id, peer } = await seatRaw((socket) => void socket.resume().once('data', () => how(socket)))
      const client = dial()
      client.say(head(id, `Content-Length: ${8 * MIB}`))
      const { ended } = pump(client, 8 * MIB)
      await goesOn()
      t.equal((await client.answered())[0]?.status, 502)
      await ended
      t.equal(peer.connections, 1)
    })
  })
}

for (const status of [301, 302, 303, 307, 308]) {
  t.test(`an upload is not sent on by a redirect (${status}): nobody there is even connected to`, async (t) => {
    const elsewhere = await startPeer(t, () => {})
    await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
      const redirect = `HTTP/1.1 ${status} Elsewhere\r\nLocation: ${elsewhere.url}/v1/audio/transcriptions\r\nContent-Length: 0\r\n\r\n`
      const { id, peer } = await seatRaw((socket) => void socket.resume().once('data', () => socket.write(redirect)))
      const client = dial()
      client.say(head(id, 'Content-Length: 5'))
      client.say('audio')
      await goesOn()
      t.equal((await client.answered())[0]?.status, 502)
      t.strictSame([peer.connections, elsewhere.connections], [1, 0])
    })
  })
}
