import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type Answerer, answerNever, startFakeLlm } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { answerModels, startProbingRoom } from '../support/probed.ts'
import { eventually } from '../support/wire.ts'

const MIB = 1024 * 1024

/** What a probe makes of a server that answers so. */
async function statusAfter(t: Test, answerer: Answerer) {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerer)]
  await room.joinProbed(llm.url)
  await room.probe()
  const { status, offlineReason } = (await room.look('alice')).body.participant
  return { status, offlineReason, llm, room }
}

/** What one probe each makes of servers that answer so, side by side in one room. */
async function verdicts(t: Test, answers: readonly { statusCode: number; text: string }[]) {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t)]
  llm.answer(({ path }, response) => {
    const { statusCode = 404, text = '' } = answers[Number(path.split('/')[1])] ?? {}
    response.writeHead(statusCode).end(text)
  })
  for (const index of answers.keys()) await room.joinProbed(`${llm.url}/${index}`, `p${index}`)
  await room.probe()
  const looks = await Promise.all(answers.map((_, index) => room.look(`p${index}`)))
  return looks.map(({ body }, index) => ({ ...answers[index], ...body.participant }))
}

const answerText =
  (statusCode: number, text: string): Answerer =>
  (_request, response) => {
    response.writeHead(statusCode).end(text)
  }

t.test('OpenAI’s list of models, or Ollama’s, is told by its content', async (t) => {
  const texts = ['{"object":"list","data":[]}', '{"data":[{"id":"x"}]}', '{"models":[]}']
  const found = await verdicts(
    t,
    texts.map((text) => ({ statusCode: 200, text })),
  )
  for (const { text, status } of found) t.equal(status, 'online', text ?? '')
})

t.test('where there is no /v1/models, Ollama’s /api/tags is asked', async (t) => {
  const { status, llm } = await statusAfter(t, ({ path }, response) => {
    if (path === '/api/tags') response.end('{"models":[]}')
    else response.writeHead(404).end('404 page not found')
  })
  t.equal(status, 'online')
  t.strictSame(
    llm.requests.map(({ path }) => path),
    ['/v1/models', '/api/tags'],
  )
})

t.test('a server that wants a key, or that is still loading, is there', async (t) => {
  for (const statusCode of [401, 403, 503]) {
    const { status, llm } = await statusAfter(t, answerText(statusCode, '{"error":"no"}'))
    t.equal(status, 'online', String(statusCode))
    t.equal(llm.requests.length, 1)
  }
})

t.test('any other answer is none of an LLM server', async (t) => {
  const texts = ['', '[]', 'null', '"data"', '{}', '{"data":{}}', '{"data":"x"}', '{"data":[', 'ok', '{"models":7}']
  const odd = texts.map((text) => ({ statusCode: 200, text }))
  const refused = [201, 204, 400, 404, 405, 418, 429, 500, 502].map((statusCode) => {
    return { statusCode, text: statusCode === 204 ? '' : '{"data":[]}' }
  })
  for (const { text, statusCode, status, offlineReason } of await verdicts(t, [...odd, ...refused])) {
    t.equal(status, 'offline', `${statusCode} ${text}`)
    t.match(offlineReason, `GET /v1/models answered ${statusCode}`)
  }
})

t.test('the question goes to the endpoint’s own path, /v1 once', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  for (const [index, path] of ['', '/', '/v1', '/v1/', '/llm', '/llm/v1'].entries()) {
    await room.joinProbed(`${llm.url}${path}`, `p${index}`)
  }
  await room.probe()
  t.strictSame(llm.requests.map(({ path }) => path).sort(), [
    ...Array(2).fill('/llm/v1/models'),
    ...Array(4).fill('/v1/models'),
  ])
})

t.test('the question carries no credential, no cookie and no body', async (t) => {
  const [room, llm] = [await startProbingRoom(t), await startFakeLlm(t, answerModels)]
  const { token } = await join(room.url, room.room.code, { endpoint: llm.url, liveness: 'probe' })
  await room.changeParticipant('alice', { slots: 2 }, bearer(token).authorization?.slice(7))
  await room.probe()
  const [asked] = llm.requests
  t.equal(asked?.body.length, 0)
  t.strictSame(Object.keys(asked?.headers ?? {}).sort(), ['accept', 'connection', 'host'])
})

t.test('a server that never answers: no answer in time', async (t) => {
  const { status, offlineReason, llm } = await statusAfter(t, answerNever)
  t.equal(status, 'offline')
  t.equal(offlineReason, 'No answer in time')
  await llm.requests[0]?.closed
  t.equal(llm.requests[0]?.aborted, true, 'and the hub does not wait on')
})

t.test('a server that drips: the time is that of the whole answer', async (t) => {
  const { status, offlineReason, llm } = await statusAfter(t, (_request, response) => {
    response.write('{"data":[')
    const timer = setInterval(() => response.write(' '), 20)
    response.once('close', () => clearInterval(timer))
  })
  t.equal(status, 'offline')
  t.equal(offlineReason, 'No answer in time')
  await llm.requests[0]?.closed
})

t.test('an endless answer is not read to its end', async (t) => {
  let written = 0
  const { status, llm } = await statusAfter(t, async (_request, response) => {
    response.write('{"data":[')
    while (!response.destroyed && written < 512 * MIB) {
      written += MIB
      if (!response.write(' '.repeat(MIB)))
        await Promise.race([once(response, 'drain').catch(() => {}), once(response, 'close')])
    }
  })
  t.equal(status, 'offline')
  for (const request of llm.requests) await request.closed
  t.ok(llm.requests.every(({ aborted }) => aborted))
  t.ok(written < 64 * MIB, `${written / MIB} MiB were taken`)
})

t.test('a list of models that is larger than any is none', async (t) => {
  const list = JSON.stringify({ data: Array.from({ length: 100 }, () => ({ id: 'x'.repeat(20_000) })) })
  t.equal((await statusAfter(t, answerText(200, list))).status, 'offline')
  const usual = JSON.stringify({ data: Array.from({ length: 1000 }, () => ({ id: 'x'.repeat(200) })) })
  t.equal((await statusAfter(t, answerText(200, usual))).status, 'online')
})

t.test('endless headers are not read to their end', async (t) => {
  const url = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = () => {
      while (socket.write(`x-${Math.random()}: ${'x'.repeat(1000)}\r\n`));
    }
    socket.on('drain', more)
    more()
  })
  const room = await startProbingRoom(t)
  await room.joinProbed(url)
  await room.probe()
  t.hasStrict((await room.look('alice')).body.participant, {
    status: 'offline',
    offlineReason: 'The answer has too many headers',
  })
})

t.test('a redirect is not followed', async (t) => {
  const elsewhere = await startFakeLlm(t, answerModels)
  for (const statusCode of [301, 302, 303, 307, 308]) {
    const { status, offlineReason } = await statusAfter(t, ({ path }, response) => {
      response.writeHead(statusCode, { location: `${elsewhere.url}${path}` }).end()
    })
    t.equal(status, 'offline')
    t.match(offlineReason, `answered ${statusCode}`)
  }
  t.equal(elsewhere.requests.length, 0)
})

t.test('what does not speak HTTP is told so', async (t) => {
  const url = await startRaw(t, (socket) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n'))
  const room = await startProbingRoom(t)
  await room.joinProbed(url)
  await room.probe()
  t.hasStrict((await room.look('alice')).body.participant, {
    status: 'offline',
    offlineReason: 'The answer is not HTTP',
  })
})

t.test('a server that hangs up is there no more', async (t) => {
  const url = await startRaw(t, (socket) => void socket.end())
  const room = await startProbingRoom(t)
  await room.joinProbed(url)
  await room.probe()
  t.match((await room.look('alice')).body.participant.offlineReason, /^Connection (closed|reset)$/)
})

t.test('the reason holds nothing that the server wrote', async (t) => {
  const { offlineReason } = await statusAfter(t, (_request, response) => {
    response.writeHead(404, 'Whatever <b>it</b> says', { 'x-odd': 'odd' }).end('odd text')
  })
  t.equal(offlineReason, 'This is no LLM server: GET /v1/models answered 404, GET /api/tags answered 404')
})

t.test('one that does not answer holds up nobody else', async (t) => {
  const [mute, llm] = [await startFakeLlm(t, answerNever), await startFakeLlm(t, answerModels)]
  const room = await startProbingRoom(t, { probeTimeoutMs: 60_000 })
  await room.joinProbed(mute.url, 'mute')
  void room.probe()
  await eventually(() => mute.requests.length === 1, 'the first question')
  await room.joinProbed(llm.url, 'alice')
  await room.probe()
  t.equal(llm.requests.length, 1)
})

t.test('a hub that closes does not wait for its probes', async (t) => {
  const [room, mute] = [await startProbingRoom(t, { probeTimeoutMs: 60_000 }), await startFakeLlm(t, answerNever)]
  await room.joinProbed(mute.url)
  const probing = room.probe()
  await eventually(() => mute.requests.length === 1, 'the question')
  await room.hub.close()
  await probing
  await mute.requests[0]?.closed
  t.equal(mute.requests[0]?.aborted, true)
})

/** A server that speaks whatever the test says. */
async function startRaw(t: Test, speak: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', () => speak(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
