import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { RefusedAnswer, reasonOf } from '../../plugins/ollama-proxy/upstream-errors.ts'

const withCode = (code: string, message = 'secret', cause?: unknown) =>
  Object.assign(new Error(message, { cause }), { code })

t.test('what undici and Node report is told in a sentence', async (t) => {
  const reasons = {
    ECONNREFUSED: 'Connection refused',
    ECONNRESET: 'Connection reset',
    EPIPE: 'Connection reset',
    EHOSTUNREACH: 'Host unreachable',
    ENETUNREACH: 'Network unreachable',
    ETIMEDOUT: 'Connection timed out',
    UND_ERR_CONNECT_TIMEOUT: 'Connection timed out',
    ENOTFOUND: 'Host name not found',
    UND_ERR_HEADERS_TIMEOUT: 'No answer in time',
    UND_ERR_BODY_TIMEOUT: 'The answer stopped coming',
    UND_ERR_SOCKET: 'Connection closed',
    HPE_INVALID_CONSTANT: 'The answer is not HTTP',
  }
  for (const [code, reason] of Object.entries(reasons)) t.equal(reasonOf(withCode(code)), reason, code)
})

t.test('the deepest cause says most', async (t) => {
  t.equal(reasonOf(withCode('UND_ERR_SOCKET', 'closed', withCode('ECONNRESET'))), 'Connection reset')
  t.equal(reasonOf(withCode('UND_ERR_SOCKET', 'closed', new Error('no code'))), 'Connection closed')
  t.equal(reasonOf(new TypeError('fetch failed', { cause: withCode('ECONNREFUSED') })), 'Connection refused')
})

t.test('of several attempts the first one’s reason is told', async (t) => {
  const attempts = new AggregateError([withCode('ECONNREFUSED'), withCode('ENETUNREACH')])
  t.equal(reasonOf(attempts), 'Connection refused')
})

t.test('what is unknown is told by its code, never by its message', async (t) => {
  t.equal(reasonOf(withCode('EWHATEVER', 'what the other side wrote')), 'The connection failed (EWHATEVER)')
  t.equal(reasonOf(new Error('what the other side wrote')), 'The connection failed')
  t.equal(reasonOf(new AggregateError([])), 'The connection failed')
  t.equal(reasonOf(Object.assign(new Error('x'), { code: 42 })), 'The connection failed')
})

t.test('an answer that the hub refuses is told in the hub’s own words', async (t) => {
  t.equal(reasonOf(new RefusedAnswer('It answered with a redirect (302)')), 'It answered with a redirect (302)')
})

/** Asks a server that does what the test says. @returns the reason why there was no answer */
async function reasonFrom(port: number): Promise<string> {
  const dispatcher = new Agent({ connect: { timeout: 2000 }, headersTimeout: 100, bodyTimeout: 100 })
  try {
    const { body } = await request(`http://127.0.0.1:${port}`, { dispatcher })
    await body.text()
    return 'answered'
  } catch (error) {
    return reasonOf(error as Error)
  } finally {
    await dispatcher.destroy()
  }
}

async function portOf(t: Test, onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('real connections fail with those reasons', async (t) => {
  const closed = createHttpServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  t.equal(await reasonFrom(port), 'Connection refused')

  const answers: Record<string, (socket: Socket) => void> = {
    'Connection closed': (socket) => socket.once('data', () => socket.end()),
    'Connection reset': (socket) => socket.once('data', () => socket.resetAndDestroy()),
    'The answer is not HTTP': (socket) =>
      socket.once('data', () => socket.end('SSH-2.0-OpenSSH_9.6 with a secret\r\n')),
    'No answer in time': (socket) => socket.resume(),
    'The answer stopped coming': (socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx')),
  }
  for (const [reason, answer] of Object.entries(answers)) {
    const sockets: Socket[] = []
    const port = await portOf(t, (socket) => {
      sockets.push(socket.on('error', () => {}))
      answer(socket)
    })
    t.equal(await reasonFrom(port), reason)
    for (const socket of sockets) socket.destroy()
  }
})
