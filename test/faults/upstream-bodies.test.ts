import type { Socket } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { chunked, STREAM_HEAD } from '../support/raw-llm.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const IDLE_MS = 1000
const scene = await openScene(t, { firstByteTimeoutMs: 1000, idleTimeoutMs: IDLE_MS })

const MIB = 1024 * 1024
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
const EVENTS = STREAM_HEAD.replace('keep-alive', 'close')
const LAST = '0\r\n\r\n'

const write = (bytes: string) => (socket: Socket) => void socket.write(Buffer.from(bytes, 'latin1'))

const dribble = (first: string, next: string, pauseMs: number) => (socket: Socket) => {
  socket.write(first)
  keepOn(socket, pauseMs, () => socket.write(next))
}

/** Each is a whole answer, and what of it the client gets. */
const WHOLE: [string, (socket: Socket) => void, number, string][] = [
  ['a 204 with a body', write('HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'), 204, ''],
  [
    'a 204 in chunks',
    write(`HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('hello')}${LAST}`),
    204,
    '',
  ],
  ['a 204 with more behind it', write('HTTP/1.1 204 No Content\r\n\r\nhello'), 204, ''],
  ['more than its length', write(plain('{}hello').replace('Length: 7', 'Length: 2')), 200, '{}'],
  ['trailers', write(`${CHUNKED}${chunked('{}')}0\r\nX-Request-Id: late\r\nSet-Cookie: a=b\r\n\r\n`), 200, '{}'],
  ['extensions to its chunks', write(`${CHUNKED}2;name=value\r\n{}\r\n${LAST}`), 200, '{}'],
  ['no length, ended by the connection', (socket) => void socket.end('HTTP/1.0 200 OK\r\n\r\n{}'), 200, '{}'],
]

for (const [what, how, status, body] of WHOLE) {
  t.test(`an answer with ${what} comes whole, and nothing beyond it`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
      const { id } = await seat(how)
      const client = dial()
      client.say(ask(id))
      await goesOn()
      const [answer] = await client.answered()
      t.strictSame([answer?.status, answer?.body, client.answers().length], [status, body, 1])
      t.notOk(/^(?:x-request-id|set-cookie):/im.test(client.heard()))
      // RFC 9110 §8.6.
      if (status === 204) t.notOk(/content-length/i.test(answer?.head ?? ''))
      // The connection is good for another one.
      client.say('GET /health HTTP/1.1\r\nHost: hub\r\n\r\n')
      t.equal((await client.answered(2))[1]?.status, 200)
    })
  })
}

/** Each breaks behind the first bytes. */
const CUT: [string, (socket: Socket) => void][] = [
  ['less than its length', (socket) => void socket.end(plain('{}').replace('Length: 2', 'Length: 99'))],
  ['a chunk that is none', write(`${CHUNKED}${chunked('{}')}xyz\r\n`)],
  ['a chunk longer than it says', write(`${CHUNKED}${chunked('{}')}2\r\n{}}\r\n`)],
  ['a chunk larger than any', write(`${CHUNKED}${chunked('{}')}fffffffffffffffff\r\n`)],
  ['trailers without end', dribble(`${CHUNKED}${chunked('{}')}0\r\n`, `a:${'b'.repeat(999)}\r\n`, 5)],
]

for (const [what, how] of CUT) {
  t.test(`an answer with ${what} ends, and looks cut`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, ask, goesOn, letGo }) => {
      const { id, peer } = await seat(how)
      const client = dial()
      client.say(ask(id))
      await client.hears('{}')
      await goesOn()
      await letGo()
      const [answer] = client.answers()
      t.strictSame([answer?.status, answer?.isWhole, answer?.body.slice(0, 2)], [200, false, '{}'])
      t.strictSame([peer.connections, peer.requests.length], [1, 1])
    })
  })
}

/** Each goes on or keeps silent for ever, and says no more of the body. */
const ENDLESS: [string, (socket: Socket) => void][] = [
  ['silence before the rest of its length', write(plain('{}').replace('Length: 2', 'Length: 99'))],
  ['silence before the last chunk', write(`${CHUNKED}${chunked('{}')}`)],
  ['trailers', dribble(`${CHUNKED}${chunked('{}')}0\r\n`, 'a:b\r\n', 100)],
  ['an extension', dribble(`${CHUNKED}${chunked('{}')}2;`, 'a'.repeat(999), 20)],
  ['a chunk size', dribble(`${CHUNKED}${chunked('{}')}`, '0'.repeat(999), 20)],
]

t.test('answers that never say the rest of the body are ended, and look cut', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn, letGo }) => {
    const cases = await Promise.all(
      ENDLESS.map(async ([what, how]) => {
        const { id, peer } = await seat(how)
        const client = dial()
        client.say(ask(id))
        await client.hears('{}')
        return { what, client, peer }
      }),
    )
    await goesOn()
    await letGo()
    for (const { what, client, peer } of cases) {
      const [answer] = client.answers()
      t.strictSame([answer?.status, answer?.isWhole, answer?.body], [200, false, '{}'], what)
      t.strictSame([peer.connections, peer.requests.length], [1, 1], what)
    }
  })
})

for (const [coding, bytes] of [
  ['gzip', gzipSync('{"choices":[]}')],
  ['br', brotliCompressSync('{"choices":[]}')],
] as const) {
  t.test(`an answer in ${coding}, which nobody asked for, passes as it is`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
      const { id } = await seat((socket) => {
        socket.write(
          `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: ${coding}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
        )
        socket.end(bytes)
      })
      const client = dial()
      client.say(ask(id))
      await goesOn()
      const [answer] = await client.answered()
      t.match(answer?.head, `content-encoding: ${coding}`)
      t.equal(answer?.body, bytes.toString('latin1'))
    })
  })
}

t.test('a character that is cut in two at a border of chunks stays what it is', async (t) => {
  const bytes = Buffer.from('data: {"choices":[{"delta":{"content":"Süße Möhren 🥕"}}]}\n\n')
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    const { id } = await seat(async (socket) => {
      socket.setNoDelay(true)
      socket.write(EVENTS)
      for (const byte of bytes) {
        socket.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.of(byte), Buffer.from('\r\n')]))
        await new Promise(setImmediate)
      }
      socket.end(LAST)
    })
    const client = dial()
    client.say(ask(id))
    await goesOn()
    const [answer] = await client.answered()
    t.equal(answer?.body, bytes.toString('latin1'))
  })
})

t.test('a line of 10 MB in a stream passes through without being held', async (t) => {
  const size = 10 * MIB
  let most = 0
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    const { id } = await seat(async (socket) => {
      socket.write(`${EVENTS}${(6 + size + 2).toString(16)}\r\ndata: `)
      const piece = Buffer.alloc(64 * 1024, 'x')
      for (let sent = 0; sent < size && !socket.destroyed; sent += piece.length) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
        // As much as the hub holds of it: the rest is the kernel's.
        most = Math.max(most, ...Array.from(scene.clients, ({ writableLength }) => writableLength))
      }
      socket.end(`\n\n\r\n${LAST}`)
    })
    const client = dial()
    client.say(ask(id))
    await goesOn()
    const [answer] = await client.answered()
    t.equal(answer?.body.length, 6 + size + 2)
    t.ok(answer?.body.endsWith('xx\n\n'))
    t.ok(most < MIB, `${most} bytes waited in the hub at once`)
  })
})

t.test('thousands of tiny chunks come whole', async (t) => {
  const count = 5000
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    const { id } = await seat((socket) => {
      socket.write(EVENTS)
      for (let sent = 0; sent < count; sent++) socket.write('1\r\nx\r\n')
      socket.end(LAST)
    })
    const client = dial()
    client.say(ask(id))
    await goesOn()
    const [answer] = await client.answered()
    t.equal(answer?.body, 'x'.repeat(count))
  })
})

t.test('a stream whose pieces keep coming is not cut, however long it takes; one that falls silent is', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn, letGo }) => {
    const slow = await seat((socket) => {
      socket.write(EVENTS)
      let left = 12
      keepOn(socket, IDLE_MS / 5, () => (left-- > 0 ? socket.write(chunked('data: 1\n\n')) : socket.end(LAST)))
    })
    const silent = await seat(write(`${EVENTS}${chunked('data: 1\n\n')}`))
    const [one, other] = [dial(), dial()]
    one.say(ask(slow.id))
    other.say(ask(silent.id))
    await other.hears('broke off: The answer stopped coming')
    await goesOn()
    const [answer] = await one.answered()
    t.equal(answer?.body, 'data: 1\n\n'.repeat(12))
    one.leave()
    await letGo()
  })
})

t.test('an answer without end ends when the client leaves, and is read no further', async (t) => {
  await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
    let isClosed = false
    const { id } = await seat(async (socket) => {
      socket.once('close', () => {
        isClosed = true
      })
      socket.write(EVENTS)
      const piece = chunked('data: on and on\n\n'.repeat(500))
      while (!socket.destroyed) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
      }
    })
    const client = dial()
    client.say(ask(id))
    await client.hears('on and on')
    await goesOn()
    t.notOk(isClosed)
    client.leave()
  })
})
