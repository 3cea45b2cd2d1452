import type { Socket } from 'node:net'
import t from 'tap'
import { chunked } from '../support/raw-llm.ts'
import { keepOn, openScene, plain, withstand } from './kit.ts'

const scene = await openScene(t, { firstByteTimeoutMs: 1000, idleTimeoutMs: 1000 })

const OK = 'HTTP/1.1 200 OK\r\n'
const TWO = 'Content-Length: 2\r\n\r\n{}'

/** What the client is told of it, where the hub can tell. */
const NO_HTTP = 'The answer is not HTTP'
const TOO_LATE = 'No answer in time'
const MISFIT = 'The answer is shorter or longer than it says'
const CODING = 'It answered in a transfer coding that nobody asked for'

const write = (bytes: string | Buffer) => (socket: Socket) => {
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
}

const end =
  (bytes = '') =>
  (socket: Socket) =>
    void socket.end(bytes)
const reset = (bytes: string) => (socket: Socket) => void socket.write(bytes, () => socket.resetAndDestroy())

/** One piece after the other, for ever. */
const dribble = (first: string, next: string, pauseMs: number) => (socket: Socket) => {
  socket.write(first)
  keepOn(socket, pauseMs, () => socket.write(next))
}

/** Each is how the beginning of an answer may be wrong, and why it is 502. Most participants hold the connection open. */
const FAULTS: [string, (socket: Socket) => void, string][] = [
  ['its end', end(), 'Connection closed'],
  ['a reset', (socket) => void socket.resetAndDestroy(), 'Connection reset'],
  ['half a status line, and its end', end('HTTP/1.1 20'), 'Connection closed'],
  ['half a status line, and a reset', reset('HTTP/1.1 20'), 'Connection reset'],
  ['half of the headers, and its end', end(`${OK}Content-Le`), 'Connection closed'],
  ['half of the headers, and a reset', reset(`${OK}Content-Le`), 'Connection reset'],
  ['headers alone, and its end', end(`${OK}Content-Length: 2\r\n\r\n`), ''],
  ['headers alone, and a reset', reset(`${OK}Content-Length: 2\r\n\r\n`), 'Connection reset'],
  ['headers alone', write(`${OK}Content-Length: 2\r\n\r\n`), 'The answer stopped coming'],
  ['304, and a body', write(`HTTP/1.1 304 Not Modified\r\n${TWO}`), 'It answered with a redirect'],
  ['random bytes', write(Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 89 + 7) % 256))), NO_HTTP],
  ['random bytes for ever', dribble('\u0000', '\u0007\u0001'.repeat(999), 1), NO_HTTP],
  ['a request', write('POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 2\r\n\r\n{}'), NO_HTTP],
  ['HTTP/0.9', write('{}'), NO_HTTP],
  ['a status below 100', write(`HTTP/1.1 099 Low\r\n${TWO}`), NO_HTTP],
  ['the status 000', write(`HTTP/1.1 000 None\r\n${TWO}`), NO_HTTP],
  ['a status of four digits', write(`HTTP/1.1 2000 OK\r\n${TWO}`), NO_HTTP],
  ['a status text that goes on for ever', dribble('HTTP/1.1 200 ', 'x'.repeat(999), 20), TOO_LATE],
  ['a CR in the status text', write(`HTTP/1.1 200 O\rK\r\n${TWO}`), NO_HTTP],
  ['a LF in the status text', write(`HTTP/1.1 200 O\nSet-Cookie: a=b\r\n${TWO}`), NO_HTTP],
  ['a CR in a header', write(`${OK}X-Request-Id: a\rb\r\n${TWO}`), NO_HTTP],
  ['a LF in a header', write(`${OK}X-Request-Id: a\nSet-Cookie: b=c\r\n${TWO}`), NO_HTTP],
  ['a NUL in a header', write(`${OK}X-Request-Id: a\0b\r\n${TWO}`), NO_HTTP],
  ['a control character in a header', write(`${OK}X-Request-Id: a\x01b\r\n${TWO}`), NO_HTTP],
  ['a folded header', write(`${OK}X-Request-Id: a\r\n b\r\n${TWO}`), NO_HTTP],
  ['a blank before the colon', write(`${OK}Content-Length : 2\r\n\r\n{}`), NO_HTTP],
  ['headers that are dribbled for ever', dribble(OK, 'a:b\r\n', 50), TOO_LATE],
  ['a header that goes on for ever', dribble(`${OK}X: `, 'x'.repeat(999), 5), 'The answer has too many headers'],
  [
    'headers of 17 KiB',
    write(`${OK}${`X: ${'x'.repeat(1000)}\r\n`.repeat(17)}${TWO}`),
    'The answer has too many headers',
  ],
  ['two lengths', write(`${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`), MISFIT],
  ['the same length twice', write(`${OK}Content-Length: 2\r\n${TWO}`), MISFIT],
  ['a list of lengths', write(`${OK}Content-Length: 2, 2\r\n\r\n{}`), MISFIT],
  [
    'a length and chunks',
    write(`${OK}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('{}')}`),
    MISFIT,
  ],
  ['chunks and a length', write(`${OK}Transfer-Encoding: chunked\r\n${TWO}`), NO_HTTP],
  ['a coding beside the chunks', write(`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n${chunked('{}')}`), CODING],
  ['chunks twice', write(`${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`), CODING],
  ['a coding that is none', write(`${OK}Transfer-Encoding: xchunked\r\n\r\n${chunked('{}')}`), CODING],
  ['100 Continue, which nobody asked for', write(`HTTP/1.1 100 Continue\r\n\r\n${OK}${TWO}`), 'Connection closed'],
  ['another protocol', write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'), ''],
  ['103 Early Hints for ever', dribble('', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n', 50), TOO_LATE],
  [
    'a flood of interim answers',
    dribble('', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(400), 1),
    'Too many interim answers',
  ],
]

for (const [what, how, why] of FAULTS) {
  t.test(`an answer that begins with ${what} is 502 after one request`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
      const { id, peer } = await seat(how)
      const client = dial()
      client.say(ask(id))
      await goesOn()
      const [answer] = await client.answered()
      t.equal(answer?.status, 502)
      t.match(answer?.body, `${id}: ${why}`)
      t.equal(client.answers().length, 1)
      t.strictSame([peer.connections, peer.requests.length], [1, 1])
    })
  })
}

/** Each is odd, and must do no harm. */
const ODDITIES: [string, string, (head: string) => boolean][] = [
  [
    '103 before it',
    `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${plain('{}')}`,
    (head) => !/^(?:HTTP\/1\.1 103|link:)/im.test(head),
  ],
  ['five hundred interim ones before it', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(500)}${plain('{}')}`, () => true],
  [
    'a status text of 60 KB',
    plain('{}').replace('OK', 'OK '.repeat(20_000)),
    (head) => head.length < 4000 && /^HTTP\/1\.1 200 OK OK /.test(head),
  ],
  [
    'odd characters in the status text',
    plain('{}').replace('OK', 'a\x01\0\x7f\xe9b'),
    (head) => head.startsWith('HTTP/1.1 200 a????b\r\n'),
  ],
  [
    'bytes beyond ASCII in a header',
    plain('{}', 'X-Request-Id: \xe6\x97\xa5\xff\r\n'),
    (head) => head.includes('x-request-id: \xe6\x97\xa5\xff\r\n'),
  ],
  [
    'two types',
    plain('{}', 'Content-Type: application/json\r\nContent-Type: text/html\r\n'),
    (head) => head.includes('content-type: application/json\r\n') && !head.includes('text/html'),
  ],
  [
    'headers named like what every object has',
    plain('{}', '__proto__: a\r\nconstructor: b\r\nhasOwnProperty: c\r\n'),
    (head) => !/^(?:__proto__|constructor|hasownproperty):/im.test(head),
  ],
  ['thousands of empty headers', plain('{}', 'a:\r\n'.repeat(5000)), (head) => head.length < 4000],
  ['line ends before it', `\r\n\r\n${plain('{}')}`, () => true],
]

for (const [what, bytes, isFine] of ODDITIES) {
  t.test(`an answer with ${what} reaches the client, and does no harm`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, ask, goesOn }) => {
      const { id } = await seat((socket) => void socket.end(Buffer.from(bytes, 'latin1')))
      const client = dial()
      client.say(ask(id))
      await goesOn()
      const [answer] = await client.answered()
      t.strictSame([answer?.status, answer?.body, client.answers().length], [200, '{}', 1])
      t.ok(isFine(answer?.head ?? ''), `${answer?.head.slice(0, 300)}`)
    })
  })
}
