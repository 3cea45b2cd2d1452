import type { Socket } from 'node:net'
import t from 'tap'
import { chunked, STREAM_HEAD } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const ATTEMPTS = 3
const scene = await openScene(t, {
  maxAttempts: ATTEMPTS,
  firstByteTimeoutMs: 1000,
  idleTimeoutMs: 1000,
  streamKeepAliveMs: 100,
})

const head = (status: number) => `HTTP/1.1 ${status} Odd\r\nContent-Type: application/json\r\n`

const reset = (socket: Socket) => void socket.resetAndDestroy()
const noise = (socket: Socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n')
const endless = (socket: Socket) => {
  socket.write(`${head(503)}Transfer-Encoding: chunked\r\n\r\n`)
  keepOn(socket, 1, () => socket.writableNeedDrain || socket.write(chunked('x'.repeat(10_000))))
}

/** How a participant may fail, and how often it is asked where there is no other: what would be the same again is not. */
const FAILURES: [string, (socket: Socket) => void, number][] = [
  ['resets the connection', reset, 2],
  ['closes the connection', (socket) => void socket.end(), 2],
  ['says what is no HTTP', noise, 2],
  ['breaks off within the headers', (socket) => void socket.end(`${head(200)}Content-Le`), 2],
  ['says nothing', () => {}, 1],
  [
    'redirects',
    (socket) => void socket.write(`${head(307)}Location: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n`),
    1,
  ],
  [
    'says that it is still at it, for ever',
    (socket) => keepOn(socket, 50, () => socket.write('HTTP/1.1 102 Busy\r\n\r\n')),
    1,
  ],
]

t.test('who fails is not asked more often than it may help, and leaves nothing', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    const cases = await Promise.all(
      FAILURES.map(async ([what, how, times]) => {
        const { id, peer } = await seat(how)
        const client = dial()
        client.say(ask(id))
        return { what, times, peer, client }
      }),
    )
    await goesOn()
    for (const { what, times, peer, client } of cases) {
      t.equal((await client.answered())[0]?.status, 502, what)
      t.equal(peer.requests.length, times, what)
    }
  })
})

for (const [what, how] of [
  ...FAILURES.map(([what, how]) => [what, how] as const),
  ['refuses without end', endless] as const,
]) {
  t.test(`where one ${what}, another one answers, and nothing is left of the first`, async (t) => {
    const model = `model that ${what}`
    await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
      // Whoever of the two is asked first, fails; both may be.
      let failed = false
      const answer = (socket: Socket) => {
        if (failed) socket.end(plain('{"choices":[]}'))
        else how(socket)
        failed = true
      }
      const [one, other] = [await seat(answer, model), await seat(answer, model)]
      const client = dial()
      client.say(ask(model))
      await goesOn()
      const [got] = await client.answered()
      t.strictSame([got?.status, got?.body], [200, '{"choices":[]}'])
      t.strictSame([one.peer.requests.length, other.peer.requests.length], [1, 1])
    })
  })
}

t.test('what is passed on as it comes is sent once, however it fails', async (t) => {
  await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
    const { id, peer } = await seatRaw((socket) => void socket.resume().once('data', () => reset(socket)))
    const client = dial()
    client.say(
      `POST ${scene.room}/v1/audio/transcriptions HTTP/1.1\r\nHost: hub\r\nX-Potluck-Model: ${id}\r\nContent-Type: audio/wav\r\nContent-Length: 5\r\n\r\naudio`,
    )
    await goesOn()
    t.equal((await client.answered())[0]?.status, 502)
    t.equal(peer.connections, 1)
  })
})

t.test('a client that leaves between two attempts ends them', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    const { id, peer } = await seat(reset)
    const client = dial()
    client.say(ask(id))
    await eventually(() => peer.requests.length === 1, 'the first attempt')
    client.leave()
    await goesOn()
    await eventually(() => scene.app.ollamaProxy.inFlight === 1, 'its slot is free')
  })
})

/** Each comes behind signs of life, which the client has got with a 200. */
const LATE: [string, (socket: Socket) => void][] = [
  ['resets the connection', reset],
  ['says what is no HTTP', noise],
  ['refuses', (socket) => void socket.end(`${head(400)}Content-Length: 2\r\n\r\n{}`)],
  ['breaks off', (socket) => void socket.end(`${STREAM_HEAD}${chunked('data: 1\n\n')}`)],
]

t.test('a stream that got signs of life and then fails says so, and looks cut', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn, letGo }) => {
    const clients = await Promise.all(
      LATE.map(async ([, how]) => {
        const { id } = await seat((socket) => void setTimeout(() => how(socket), 300))
        const client = dial()
        const [first = '', body = ''] = ask(id).split(/(?<=\r\n\r\n)/)
        const streamed = body.replace('{', '{"stream":true,')
        client.say(first.replace(/length: \d+/i, `Length: ${streamed.length}`) + streamed)
        return client
      }),
    )
    await goesOn()
    await letGo()
    for (const [at, client] of clients.entries()) {
      const [answer, ...more] = client.answers()
      t.strictSame([answer?.status, answer?.isWhole, more], [200, false, []], `${LATE[at]?.[0]}`)
      t.match(answer?.body, /^: /, `${LATE[at]?.[0]}`)
      t.match(answer?.body, /data: {"error":{/, `${LATE[at]?.[0]}`)
    }
  })
})
