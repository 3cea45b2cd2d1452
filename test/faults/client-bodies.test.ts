import t from 'tap'
import type { RawClient } from '../support/raw-client.ts'
import { chunked } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const KIB = 1024
const scene = await openScene(t, { requestTimeoutMs: 1000, bodyLimit: 64 * KIB, inferenceBodyLimit: 256 * KIB })

const uploadPath = `${scene.room}/v1/audio/transcriptions`
const head = (path: string, headers: string) => `POST ${path} HTTP/1.1\r\nHost: hub\r\n${headers}\r\n`
const uploadHead = (id: string, framing: string) =>
  head(uploadPath, `X-Potluck-Model: ${id}\r\nContent-Type: audio/wav\r\n${framing}\r\n`)

const CHUNKED = 'Transfer-Encoding: chunked\r\n'

/** Says that again and again, as fast as it is taken, until the hub has ended the connection. */
async function sayOn({ socket }: RawClient, piece: string): Promise<void> {
  while (!socket.destroyed && !socket.readableEnded) {
    if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
    await new Promise(setImmediate)
  }
}

/** Where a body without end may be sent to, and what becomes of it. */
const ENDLESS: [string, (id: string) => string, number][] = [
  ['a request of the hub', () => head('/rooms', CHUNKED), 413],
  ['a chat', () => head(scene.chatPath, CHUNKED), 413],
  ['an upload', (id) => uploadHead(id, CHUNKED.trim()), 413],
  ['an upload that calls itself JSON', () => head(uploadPath, `Content-Type: application/json\r\n${CHUNKED}`), 413],
  ['nobody', () => head('/nowhere', CHUNKED), 404],
  ['a room that does not exist', () => head('/rooms/NOSUCHROOM/v1/chat/completions', CHUNKED), 404],
]

t.test('a body in chunks that never ends is told its limit, and is not taken for ever', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, letGo, seatRaw }) => {
    const { id, peer } = await seatRaw((socket) => void socket.resume())
    const cases = ENDLESS.map(([what, begin, status]) => {
      const client = dial()
      client.say(begin(id))
      void sayOn(client, chunked('x'.repeat(16 * KIB)))
      return { what, client, status }
    })
    await goesOn()
    for (const { what, client, status } of cases) {
      const [answer] = await client.answered()
      t.equal(answer?.status, status, what)
    }
    await eventually(() => peer.sockets.size === 0, 'the participant is let go')
    await letGo()
  })
})

t.test('who takes too long for a request is 408, and is let go', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, letGo, seatRaw }) => {
    const { id, peer } = await seatRaw((socket) => void socket.resume())
    const slowly = (first: string, next: string) => {
      const client = dial()
      client.say(first)
      keepOn(client.socket, 50, () => client.say(next))
      return client
    }
    const cases: [string, RawClient][] = [
      ['nothing at all', dial()],
      ['the request line', slowly('GET /', 'x')],
      ['headers', slowly('GET /health HTTP/1.1\r\nHost: hub\r\n', 'a:b\r\n')],
      ['a body of the hub’s own', slowly(head('/rooms', 'Content-Length: 1000\r\n'), ' ')],
      ['a body to a room', slowly(head(scene.chatPath, 'Content-Length: 1000\r\n'), ' ')],
      ['a body in chunks', slowly(head(scene.chatPath, CHUNKED), '1\r\n \r\n')],
      ['the size of a chunk', slowly(head(scene.chatPath, CHUNKED), '0')],
      ['an upload', slowly(uploadHead(id, 'Content-Length: 1000'), 'x')],
    ]
    await eventually(() => peer.sockets.size === 1, 'the upload at the participant')
    await goesOn()
    await letGo()
    for (const [what, client] of cases) {
      const statuses = client.answers().map(({ status }) => status)
      t.strictSame(statuses, [408], what)
    }
    await eventually(() => peer.sockets.size === 0, 'the participant is let go')
    t.equal(peer.connections, 1)
  })
})

t.test(
  'a body that breaks off is nobody’s business: no participant sees a part of it, and an upload ends',
  async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, letGo, seat, seatRaw }) => {
      const chat = await seat((socket) => void socket.end(plain('{}')))
      const upload = await seatRaw((socket) => void socket.resume())
      const begun = [
        head(scene.chatPath, 'Content-Length: 1000\r\n'),
        head(scene.chatPath, CHUNKED),
        head(uploadPath, 'Content-Type: application/json\r\nContent-Length: 1000\r\n'),
        uploadHead(upload.id, 'Content-Length: 1000'),
        uploadHead(upload.id, CHUNKED.trim()),
      ]
      const clients = begun.map((first) => {
        const client = dial()
        client.say(`${first}${/chunked/.test(first) ? chunked('{"model":') : '{"model":'}`)
        return client
      })
      await eventually(() => upload.peer.sockets.size === 2, 'the uploads at the participant')
      await goesOn()
      for (const client of clients) client.leave()
      await letGo()
      await eventually(() => upload.peer.sockets.size === 0, 'the participant is let go')
      t.equal(chat.peer.connections, 0)
    })
  },
)

t.test('who asks whether to go on is told so, once, and the participant is not', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const { id, peer } = await seat((socket) => void socket.end(plain('{}')))
    const client = dial()
    const [first = '', body = ''] = ask(id, 'Expect: 100-continue\r\n').split(/(?<=\r\n\r\n)/)
    client.say(first)
    await client.hears('HTTP/1.1 100 Continue\r\n\r\n')
    await goesOn()
    client.say(body)
    const answers = await client.answered(2)
    t.strictSame(
      answers.map(({ status }) => status),
      [100, 200],
    )
    t.notOk(/expect/i.test(`${peer.requests[0]}`))
  })
})

t.test(
  'an expectation that is not met, and a body that is not wanted, are refused without being waited for',
  async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, letGo }) => {
      const last = (client: RawClient) => client.answers().at(-1)?.status
      const expecting = (path: string, headers: string) => {
        const client = dial()
        client.say(head(path, headers))
        return client
      }
      const other = expecting(scene.chatPath, 'Expect: potluck\r\nContent-Length: 10\r\n')
      const unknown = expecting('/rooms/NOSUCHROOM/v1/models', 'Expect: 100-continue\r\nContent-Length: 10\r\n')
      const large = expecting(scene.chatPath, 'Expect: 100-continue\r\nContent-Length: 999999999\r\n')
      const upload = expecting(uploadPath, 'Expect: 100-continue\r\nContent-Type: a/b\r\nContent-Length: 999999999\r\n')
      await eventually(() => last(other) === 417, 'the expectation is refused')
      await eventually(() => last(unknown) === 404, 'the path is refused')
      await eventually(() => last(large) === 413 && last(upload) === 413, 'the length is refused')
      await goesOn()
      await letGo()
    })
  },
)
