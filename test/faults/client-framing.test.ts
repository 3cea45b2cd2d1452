import t from 'tap'
import { send } from '../support/wire.ts'
import { openScene, plain, withstand } from './kit.ts'

const scene = await openScene(t)

const BODY = '{"model":"*"}'
const LENGTH = `Content-Length: ${BODY.length}\r\n`
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n`
const LAST = '0\r\n\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'

/** What stands behind the headers: a body, and a request that was smuggled in it where somebody reads that otherwise. */
const post = (headers: string, rest: string) => `POST ${scene.chatPath} HTTP/1.1\r\nHost: hub\r\n${headers}\r\n${rest}`
const SMUGGLED = `DELETE ${scene.room}/leave/${scene.pace.id} HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\n\r\n`

/** Each can be read in two ways, or is none at all. */
const UNCLEAR: [string, string][] = [
  ['two lengths', post(`${LENGTH}Content-Length: 0\r\n`, BODY + SMUGGLED)],
  ['two lengths, the other way round', post(`Content-Length: 0\r\n${LENGTH}`, BODY + SMUGGLED)],
  ['the same length twice', post(LENGTH + LENGTH, BODY)],
  ['a list of lengths', post(`Content-Length: ${BODY.length}, 0\r\n`, BODY + SMUGGLED)],
  ['a length below zero', post('Content-Length: -1\r\n', BODY)],
  ['a length with a sign', post(`Content-Length: +${BODY.length}\r\n`, BODY)],
  ['a length in hex', post('Content-Length: 0xd\r\n', BODY)],
  ['a length beyond numbers', post('Content-Length: 99999999999999999999\r\n', BODY)],
  ['a length and chunks', post(LENGTH + CHUNKED, `${LAST}${SMUGGLED}`)],
  ['chunks and a length', post(CHUNKED + LENGTH, `${LAST}${SMUGGLED}`)],
  ['a coding that is none', post('Transfer-Encoding: xchunked\r\n', CHUNK + LAST)],
  ['a coding behind the chunks', post('Transfer-Encoding: chunked, identity\r\n', CHUNK + LAST)],
  ['no coding but identity', post(`Transfer-Encoding: identity\r\n${LENGTH}`, BODY)],
  ['chunks twice', post(CHUNKED + CHUNKED, CHUNK + LAST)],
  ['chunks, then not', post(`${CHUNKED}Transfer-Encoding: identity\r\n`, CHUNK + LAST)],
  ['a tab of the wrong kind before the coding', post('Transfer-Encoding: \x0bchunked\r\n', CHUNK + LAST)],
  ['a blank before the colon', post('Transfer-Encoding : chunked\r\n', CHUNK + LAST)],
  ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n', CHUNK + LAST)],
  ['a folded header', post(`User-Agent: a\r\n b\r\n${LENGTH}`, BODY)],
  ['a first header that is folded', `POST ${scene.chatPath} HTTP/1.1\r\n Host: hub\r\n${LENGTH}\r\n${BODY}`],
  ['line ends without CR', post(LENGTH, BODY).replaceAll('\r\n', '\n')],
  ['a header that ends without CR', post(`User-Agent: a\n${LENGTH}`, BODY)],
  ['a header that ends without LF', post(`User-Agent: a\r${LENGTH}`, BODY)],
  ['a CR in a header', post(`User-Agent: a\rContent-Length: 0\r\n${LENGTH}`, BODY)],
  ['a NUL in a header', post(`User-Agent: a\0b\r\n${LENGTH}`, BODY)],
  ['a NUL in the name of a header', post(`User\0Agent: a\r\n${LENGTH}`, BODY)],
  ['a control character in a header', post(`User-Agent: a\x01b\r\n${LENGTH}`, BODY)],
  ['a header without a name', post(`: a\r\n${LENGTH}`, BODY)],
  ['a chunk size that ends without CR', post(CHUNKED, CHUNK.replace('\r\n', '\n') + LAST)],
  ['a chunk that ends without CR', post(CHUNKED, `${CHUNK.slice(0, -2)}\n${LAST}`)],
  ['a chunk size with a sign', post(CHUNKED, `+${CHUNK}${LAST}`)],
  ['a chunk size with 0x', post(CHUNKED, `0x${CHUNK}${LAST}`)],
  ['a chunk size beyond numbers', post(CHUNKED, `1000000000000000${CHUNK}${LAST}`)],
  ['a chunk longer than it says', post(CHUNKED, `2\r\n${BODY}\r\n${LAST}`)],
  ['a length among the trailers', post(CHUNKED, `${CHUNK}0\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`)],
  ['no host', `POST ${scene.chatPath} HTTP/1.1\r\n${LENGTH}\r\n${BODY}`],
  ['a target without a path', `POST hub:80 HTTP/1.1\r\nHost: hub\r\n${LENGTH}\r\n${BODY}`],
  ['a target with a blank', post(LENGTH, BODY).replace(' HTTP', '?a b HTTP')],
  ['a target with a tab', post(LENGTH, BODY).replace(' HTTP', '?a\tb HTTP')],
  ['a target with bytes beyond ASCII', post(LENGTH, BODY).replace(' HTTP', '?caf\xe9 HTTP')],
  ['a version that is none', post(LENGTH, BODY).replace('HTTP/1.1', 'HTTP/1.11')],
  ['the beginning of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['the beginning of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

t.test('a request that is unclear is refused, the connection is closed, and nothing behind it is done', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, letGo }) => {
    const cases = UNCLEAR.map(([what, bytes]) => {
      const client = dial()
      client.say(bytes)
      return { what, client }
    })
    await goesOn()
    await letGo()
    for (const { what, client } of cases) {
      const statuses = client.answers().map(({ status }) => status)
      t.strictSame(statuses, [400], what)
    }
  })
  t.equal(scene.pace.llm.requests.length, 1, 'no participant was asked')
  const { text } = await send('GET', `${scene.url}${scene.room}/participants`)
  t.match(text, `"id":"${scene.pace.id}"`, 'none was made to leave')
})

const body = (id: string) => `{"model":"${id}"}`
const length = (id: string) => `Content-Length: ${body(id).length}\r\n`
const chunk = (id: string, extension = '') => `${body(id).length.toString(16)}${extension}\r\n${body(id)}\r\n`
const whole = (id: string, headers = '') => post(headers + length(id), body(id))

/** Each is odd and clear. */
const CLEAR: [string, (id: string) => string, number][] = [
  ['a target with a foreign host', (id) => whole(id).replace(' /', ' http://evil.test/'), 200],
  ['a foreign host', (id) => whole(id).replace('Host: hub', 'Host: evil.test'), 200],
  ['a target of another scheme', (id) => whole(id).replace(' /', ' ftp://evil.test/'), 404],
  ['the target *', () => 'OPTIONS * HTTP/1.1\r\nHost: hub\r\n\r\n', 204],
  ['a fragment in its target', (id) => whole(id).replace(' HTTP', '#there HTTP'), 200],
  ['an extension to its chunks', (id) => post(CHUNKED, `${chunk(id, ';name=value')}${LAST}`), 200],
  ['trailers', (id) => post(CHUNKED, `${chunk(id)}0\r\nX-Late: yes\r\n\r\n`), 200],
  ['bytes beyond ASCII in a header', (id) => whole(id, 'User-Agent: caf\xe9\r\n'), 200],
  ['a body where none belongs', () => `GET /health HTTP/1.1\r\nHost: hub\r\n${LENGTH}\r\n${BODY}`, 200],
]

for (const [what, bytes, status] of CLEAR) {
  t.test(`a request with ${what} is ${status}, goes nowhere else, and the next one is read behind it`, async (t) => {
    await withstand(t, scene, async ({ dial, seat, goesOn, ask }) => {
      const { id, peer } = await seat((socket) => void socket.end(plain('{}')))
      const client = dial()
      client.say(bytes(id) + ask(id))
      await goesOn()
      const answers = await client.answered(2)
      t.strictSame(
        answers.map((answer) => answer.status),
        [status, 200],
      )
      for (const request of peer.requests.map((bytes) => bytes.toString('latin1'))) {
        t.match(request, /^POST \/v1\/chat\/completions HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/)
        t.notOk(/evil\.test|^(?:x-late|transfer-encoding):/im.test(request))
      }
    })
  })
}

t.test('an extension to a chunk that is larger than any is 413', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, letGo }) => {
    const client = dial()
    client.say(post(CHUNKED, `d;${'x'.repeat(100_000)}`))
    await goesOn()
    await letGo()
    t.strictSame(
      client.answers().map(({ status }) => status),
      [413],
    )
  })
})
