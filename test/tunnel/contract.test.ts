import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { reach, startServer, until, WAYS, type Way } from '../support/dispatching.ts'

const MB = 1024 * 1024

/** What a `Dispatcher` does, whichever way it leads: each of these runs against both. */
const CONTRACT: [what: string, check: (t: Test, way: Way) => Promise<void>][] = [
  ['an answer comes as it was given: status, headers, body', asGiven],
  ['a hundred requests run at once', atOnce],
  ['what is written arrives before more is written', pieceByPiece],
  ['interim answers come before the answer', interim],
  ['trailers arrive', trailers],
  ['an answer of 10 MB arrives whole', largeAnswer],
  ['a body of 10 MB arrives whole', largeBody],
  ['a body of unknown length arrives whole', pieces],
  ['fifty large bodies go up while they come back', bothWays],
  ['who does not read stops the server, and loses nothing', backPressureDown],
  ['a server that does not read stops the sender', backPressureUp],
  ['one stalled answer does not stall another', stalledBeside],
  ['an early answer arrives while the body is still to be sent', earlyAnswer],
  ['an answer without content is one', noContent],
  ['cancelled before there is an answer, the server is idle', (t, way) => cancelled(t, way, 'before')],
  ['cancelled between two pieces of an answer, the server is idle', (t, way) => cancelled(t, way, 'within')],
  ['cancelled in the midst of its body, the server is idle', cancelledInBody],
  ['a body that breaks off fails its own request, and ends it at the server', brokenBody],
  ['nobody listens: an error, told once', refused],
  ['the server hangs up before its answer: an error, told once', hungUpBefore],
  ['the server hangs up within its answer: an error, and what had come', hungUpWithin],
  ['an answer shorter than it says is an error', tooShort],
  ['no answer in time is an error with its code', lateHeaders],
  ['an answer that stops coming is an error with its code', lateBody],
  ['a handler that fails, fails alone', failingHandler],
]

for (const way of WAYS) {
  t.test(`a participant reached by ${way}`, async (t) => {
    for (const [what, check] of CONTRACT) await t.test(what, (t) => check(t, way))
  })
}

async function asGiven(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    response.writeHead(418, { 'content-type': 'text/plain', 'x-request-id': '7' })
    response.end(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`)
  })
  const asker = await reach(t, way, server.url)
  const answer = asker.ask({ body: 'rice', headers: { 'content-type': 'text/x-food' } })
  await answer.over.promise
  t.match(answer.headers, { 'content-type': 'text/plain', 'x-request-id': '7' })
  t.strictSame([answer.status, answer.text], [418, 'POST /v1/chat/completions text/x-food rice'])
  t.equal(answer.ends, 1)
}

async function atOnce(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, () => {
    if (server.open.size === 100) for (const waiting of server.open) waiting.end('all here')
  })
  const asker = await reach(t, way, server.url)
  const answers = Array.from({ length: 100 }, () => asker.ask())
  await Promise.all(answers.map(({ over }) => over.promise))
  t.strictSame([...new Set(answers.map(({ text }) => text))], ['all here'])
}

async function pieceByPiece(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => void response.write('0'))
  const asker = await reach(t, way, server.url)
  const answer = asker.ask()
  for (let piece = 1; piece <= 20; piece++) {
    await until(() => answer.bytes === piece, `${piece} pieces`)
    const [response] = server.open
    if (piece < 20) response?.write(String(piece % 10))
    else response?.end()
  }
  await answer.over.promise
  t.equal(answer.text, '01234567890123456789')
  t.equal(answer.error, undefined)
}

async function interim(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => {
    response.writeProcessing()
    setTimeout(() => response.end('done'), 20)
  })
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.strictSame([answer.interims, answer.status, answer.text], [[102], 200, 'done'])
}

async function trailers(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => {
    response.writeHead(200, { trailer: 'server-timing' })
    response.write('body')
    response.addTrailers({ 'server-timing': 'prompt;dur=42' })
    response.end()
  })
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.strictSame([answer.text, answer.trailers['server-timing'], answer.error], ['body', 'prompt;dur=42', undefined])
}

/** 10 MB in which no piece is like another. */
function large(): Buffer {
  const bytes = Buffer.alloc(10 * MB)
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(at, at)
  return bytes
}

const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

async function largeAnswer(t: Test, way: Way): Promise<void> {
  const bytes = large()
  const server = await startServer(t, (_request, response) => void response.end(bytes))
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.equal(answer.error, undefined)
  t.equal(sumOf(Buffer.concat(answer.chunks)), sumOf(bytes))
}

async function largeBody(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, async (request, response) => {
    const hash = createHash('sha256')
    for await (const chunk of request) hash.update(chunk)
    response.end(`${request.headers['content-length']} ${hash.digest('hex')}`)
  })
  const body = large()
  const answer = (await reach(t, way, server.url)).ask({ body })
  await answer.over.promise
  t.equal(answer.text, `${body.length} ${sumOf(body)}`)
}

async function* inPieces(count: number, onPiece: () => void = () => {}): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(64 * 1024, 'r')
  for (let sent = 0; sent < count; sent++) {
    onPiece()
    yield piece
  }
}

async function pieces(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, async (request, response) => {
    let bytes = 0
    for await (const chunk of request) bytes += (chunk as Buffer).length
    response.end(`${request.headers['transfer-encoding']} ${bytes}`)
  })
  const answer = (await reach(t, way, server.url)).ask({ body: inPieces(32) })
  await answer.over.promise
  t.equal(answer.text, `chunked ${2 * MB}`)
}

/** Neither end may wait with reading until the other one has read. */
async function bothWays(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request, response) => void request.pipe(response))
  const asker = await reach(t, way, server.url)
  const answers = Array.from({ length: 50 }, () => asker.ask({ body: inPieces(48) }))
  await Promise.all(answers.map(({ over }) => over.promise))
  t.strictSame([...new Set(answers.map(({ bytes }) => bytes))], [3 * MB])
  t.strictSame(
    answers.filter(({ error }) => error !== undefined),
    [],
  )
}

async function backPressureDown(t: Test, way: Way): Promise<void> {
  const total = 64 * MB
  let written = 0
  const piece = Buffer.alloc(64 * 1024, 'x')
  const server = await startServer(t, (_request, response) => {
    const pour = () => {
      while (written < total) {
        written += piece.length
        if (!response.write(piece)) return void response.once('drain', pour)
      }
      response.end()
    }
    pour()
  })
  const asker = await reach(t, way, server.url)
  const answer = asker.ask()
  answer.isStalled = true
  await answer.first.promise
  let before = -1
  while (before !== written) {
    before = written
    await sleep(200)
  }
  t.ok(written < total / 2, `the server stood still after ${written} bytes`)
  t.ok(answer.bytes < MB, `${answer.bytes} bytes were handed on`)
  answer.isStalled = false
  answer.controller?.resume()
  await answer.over.promise
  t.strictSame([answer.bytes, answer.error], [total, undefined])
}

async function backPressureUp(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, () => {})
  const asker = await reach(t, way, server.url)
  let sent = 0
  const answer = asker.ask({
    body: inPieces(1024, () => {
      sent += 1
    }),
  })
  await until(() => server.open.size === 1 && sent > 0, 'the request is there')
  let before = -1
  while (before !== sent) {
    before = sent
    await sleep(200)
  }
  t.ok(sent < 512, `the sender stood still after ${sent} of 1024 pieces`)
  const [response] = server.open
  response?.req.resume()
  await once(response?.req as NodeJS.EventEmitter, 'end')
  response?.end('taken')
  await answer.over.promise
  t.strictSame([sent, answer.text], [1024, 'taken'])
}

async function stalledBeside(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request, response) => {
    request.resume()
    const isFlood = request.url === '/v1/completions'
    const piece = Buffer.alloc(isFlood ? 64 * 1024 : 20, 'x')
    let left = isFlood ? 400 : 100
    const timer = setInterval(
      () => {
        if (left-- > 0) response.write(piece)
        else {
          clearInterval(timer)
          response.end()
        }
      },
      isFlood ? 1 : 5,
    )
    response.once('close', () => clearInterval(timer))
  })
  const asker = await reach(t, way, server.url)
  const stalled = Array.from({ length: 5 }, () => {
    const answer = asker.ask({ path: '/v1/completions' })
    answer.isStalled = true
    return answer
  })
  await Promise.all(stalled.map(({ first }) => first.promise))
  const other = asker.ask()
  await other.over.promise
  t.strictSame([other.bytes, other.error], [2000, undefined])
  for (const answer of stalled) {
    t.ok(answer.bytes < MB)
    answer.controller?.abort(new Error('enough'))
  }
  await until(() => server.open.size === 0, 'the server is idle')
}

async function earlyAnswer(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => void response.writeHead(413).end('too much'))
  const asker = await reach(t, way, server.url)
  const answer = asker.ask({ body: slowPieces() })
  await answer.started.promise
  await until(() => answer.text === 'too much', 'the answer is there')
  t.equal(answer.status, 413)
  answer.controller?.abort(new Error('enough'))
  const next = asker.ask()
  await next.over.promise
  t.equal(next.text, 'too much', 'the next one finds its way')
}

async function* slowPieces(): AsyncGenerator<Buffer> {
  for (let sent = 0; sent < 100; sent++) {
    yield Buffer.from('x')
    await sleep(20)
  }
}

async function noContent(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => void response.writeHead(204).end())
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.strictSame([answer.status, answer.bytes, answer.error], [204, 0, undefined])
}

async function cancelled(t: Test, way: Way, when: 'before' | 'within'): Promise<void> {
  const server = await startServer(t, (request, response) => {
    request.resume()
    if (when === 'within') response.write('one')
  })
  const asker = await reach(t, way, server.url)
  const answers = Array.from({ length: 20 }, () => asker.ask())
  await until(() => server.open.size === 20, 'all are there')
  if (when === 'within') await Promise.all(answers.map(({ first }) => first.promise))
  const reason = new Error('changed my mind')
  for (const answer of answers) answer.controller?.abort(reason)
  await until(() => server.open.size === 0, 'the server is idle')
  for (const { error, ends } of answers) t.strictSame([error, ends], [reason, 1])
}

async function cancelledInBody(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request) => void request.resume())
  const asker = await reach(t, way, server.url)
  const answer = asker.ask({ body: slowPieces() })
  await until(() => server.open.size === 1, 'it is there')
  answer.controller?.abort(new Error('changed my mind'))
  await until(() => server.open.size === 0, 'the server is idle')
  t.equal(answer.ends, 1)
}

async function brokenBody(t: Test, way: Way): Promise<void> {
  const broken = new Error('the client went away')
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('half')
    await until(() => server.open.size === 1, 'the request is there')
    throw broken
  }
  const server = await startServer(t, (request) => void request.resume())
  const answer = (await reach(t, way, server.url)).ask({ body: body() })
  await answer.over.promise
  t.strictSame([answer.error, answer.ends], [broken, 1])
  await until(() => server.open.size === 0, 'the server is idle')
}

async function refused(t: Test, way: Way): Promise<void> {
  // Port 1 is nobody's.
  const answer = (await reach(t, way, 'http://127.0.0.1:1')).ask()
  await answer.over.promise
  t.match(answer, { error: { code: 'ECONNREFUSED' }, ends: 1, status: undefined })
}

async function hungUpBefore(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request) => void request.socket.destroy())
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.match(answer, { error: { code: 'UND_ERR_SOCKET' }, ends: 1, status: undefined })
}

async function hungUpWithin(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => {
    response.write('half')
    setTimeout(() => response.destroy(), 50)
  })
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.match(answer, { error: { code: 'UND_ERR_SOCKET' }, ends: 1, status: 200, text: 'half' })
}

async function tooShort(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half')
    setTimeout(() => request.socket.end(), 50)
  })
  const answer = (await reach(t, way, server.url)).ask()
  await answer.over.promise
  t.ok(answer.error)
  t.equal(answer.ends, 1)
}

async function lateHeaders(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (request) => void request.resume())
  const answer = (await reach(t, way, server.url)).ask({ headersTimeout: 100 })
  await answer.over.promise
  t.match(answer, { error: { code: 'UND_ERR_HEADERS_TIMEOUT' }, ends: 1 })
  await until(() => server.open.size === 0, 'the server is idle')
}

async function lateBody(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => void response.write('half'))
  const answer = (await reach(t, way, server.url)).ask({ bodyTimeout: 100 })
  await answer.over.promise
  t.match(answer, { error: { code: 'UND_ERR_BODY_TIMEOUT' }, ends: 1, text: 'half' })
  await until(() => server.open.size === 0, 'the server is idle')
}

async function failingHandler(t: Test, way: Way): Promise<void> {
  const server = await startServer(t, (_request, response) => void response.end('answer'))
  const asker = await reach(t, way, server.url)
  const failing = asker.ask()
  failing.onChunk = () => {
    throw new Error('no idea what that is')
  }
  const other = asker.ask()
  await Promise.all([failing.over.promise, other.over.promise])
  t.match(failing, { error: { message: 'no idea what that is' }, ends: 1 })
  t.strictSame([other.text, other.error], ['answer', undefined])
}
