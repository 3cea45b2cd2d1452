import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { eventually } from '../support/wire.ts'

interface Asked {
  method?: string
  path: string
  body?: unknown
  token?: string
}

function bytesOf({ method = 'GET', path, body, token }: Asked): string {
  const text = body === undefined ? '' : JSON.stringify(body)
  const credential = token === undefined ? '' : `authorization: ${bearer(token).authorization}\r\n`
  return `${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${text.length}\r\n${credential}\r\n${text}`
}

interface Reply {
  status: number
  head: string
  body: unknown
}

/** Answers one after the other on one connection; all of them have a length. */
function repliesIn(text: string): Reply[] {
  const replies: Reply[] = []
  let rest = text
  while (rest.includes('\r\n\r\n')) {
    const end = rest.indexOf('\r\n\r\n') + 4
    const head = rest.slice(0, end)
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    replies.push({ status: Number(head.split(' ')[1]), head, body: JSON.parse(rest.slice(end, end + length)) })
    rest = rest.slice(end + length)
  }
  return replies
}

/** What the hub answers on a connection that was in use when it began to close: a client's next request comes there. */
async function askWhileClosing(t: Test, next: (room: { path: string; token: string }) => Asked): Promise<Reply> {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const llm = await startFakeLlm(t, async (request, response) => {
    await promise
    await answerPlain('done')(request, response)
  })
  const { url, hub } = await startHub(t, { graceMs: 60_000 })
  const { room } = await manageRoom(url)
  const { token } = await join(url, room.code, { endpoint: llm.url })
  const path = `/rooms/${room.code}`
  const { socket, heard } = open(t, url)
  socket.write(bytesOf({ method: 'POST', path: `${path}/v1/chat/completions`, body: { model: '*', messages: [] } }))
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  const closed = hub.close()
  socket.write(bytesOf(next({ path, token })))
  goOn()
  await Promise.all([closed, once(socket, 'close')])
  const [first, second] = repliesIn(heard())
  t.equal(first?.status, 200, 'what ran was finished')
  return second as Reply
}

function open(t: Test, url: string) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  t.teardown(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  return { socket, heard: () => text }
}

t.test('GET /readyz: 503 {status: closing}', async (t) => {
  const { status, body } = await askWhileClosing(t, () => ({ path: '/readyz' }))
  t.equal(status, 503)
  t.strictSame(body, { status: 'closing' })
})

t.test('GET /livez: 200, since the process is alive and must not be restarted while it drains', async (t) => {
  const { status, body } = await askWhileClosing(t, () => ({ path: '/livez' }))
  t.equal(status, 200)
  t.strictSame(body, { status: 'ok' })
})

t.test('a heartbeat is never answered 503', async (t) => {
  const { status, body } = await askWhileClosing(t, ({ path, token }) => {
    return { method: 'POST', path: `${path}/health`, body: { id: 'alice' }, token }
  })
  t.equal(status, 200)
  t.strictSame(body, { success: true })
})

t.test('inference: 503 in the shape that OpenAI’s clients parse', async (t) => {
  const { status, body } = await askWhileClosing(t, ({ path }) => {
    return { method: 'POST', path: `${path}/v1/chat/completions`, body: { model: '*', messages: [] } }
  })
  t.equal(status, 503)
  t.hasStrict(body, { error: { code: 'PTL_HUB_CLOSING', param: null } })
})

t.test('each answer says that the connection ends', async (t) => {
  const { head } = await askWhileClosing(t, () => ({ path: '/readyz' }))
  t.match(head, /connection: close/i)
})
