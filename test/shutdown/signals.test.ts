import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { startChildHub } from '../support/child-hub.ts'
import { type Answerer, answerNever, chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { manageRoom, startRequest } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import { joinByTunnel } from '../support/tunnels.ts'
import { eventually } from '../support/wire.ts'

/** So long that only a signal can be what ended it. */
const LONG_GRACE = ['--grace-ms', '600000']

async function startRoom(t: Test, flags: readonly string[], answer: Answerer) {
  const [hub, llm] = [await startChildHub(t, flags), await startFakeLlm(t, answer)]
  const managed = await manageRoom(hub.url)
  await join(hub.url, managed.room.code, { endpoint: llm.url })
  const path = `${managed.base}/v1/chat/completions`
  const stream = () => startRequest(t, path, { model: '*', messages: [], stream: true })
  return { ...hub, ...managed, llm, stream }
}

/** Whether a new connection is taken, as far as the kernel says. */
async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
  const isOpen = await promise
  socket.destroy()
  return isOpen
}

/** Once the hub has taken the signal in. */
async function refusing(url: string): Promise<void> {
  while (await isListening(url)) await new Promise((resolve) => setTimeout(resolve, 5))
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends a hub that has nothing to do: exit 0, and its log says why`, async (t) => {
    const { child, exited } = await startChildHub(t)
    child.kill(signal)
    const { code, stdout, stderr } = await exited
    t.equal(code, 0)
    t.match(stdout, new RegExp(`"signal":"${signal}".*shutting down`))
    t.equal(stderr, '')
  })
}

t.test(
  'SIGINT: connections that are kept, event streams and idle tunnels do not hold a hub without work',
  async (t) => {
    const { child, exited, url, base, room } = await startRoom(t, LONG_GRACE, answerNever)
    const events = await readEvents(t, `${base}/events`)
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const [response] = (await once(get(`${url}/livez`, { agent }), 'response')) as [IncomingMessage]
    await once(response.resume(), 'end')
    await joinByTunnel(t, url, room.code, 'http://127.0.0.1:1', { id: 'bob', model: 'other' })
    child.kill('SIGINT')
    t.equal((await exited).code, 0)
    await events.ended
  },
)

t.test('SIGTERM: nothing new is taken, a stream in flight comes to its end, then exit 0', async (t) => {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const { child, exited, url, stream } = await startRoom(t, LONG_GRACE, async (_request, response) => {
    startStream(response)
    response.write(chunkOf('before'))
    await promise
    response.end(`${chunkOf('after')}data: [DONE]\n\n`)
  })
  const answer = await stream()
  await answer.until('before')
  child.kill('SIGTERM')
  await refusing(url)
  t.equal(child.exitCode, null, 'it goes on for the stream')
  goOn()
  const { complete, text } = await answer.ended
  t.equal(complete, true)
  t.match(text, /before[\s\S]*after[\s\S]*\[DONE\]\n\n$/)
  t.equal((await exited).code, 0)
})

t.test('SIGTERM: event streams end properly, with a last comment, and do not wait for requests', async (t) => {
  const { child, url, base, llm, stream } = await startRoom(t, LONG_GRACE, answerNever)
  const readers = [await readEvents(t, `${base}/events`), await readEvents(t, `${url}/events`)]
  void stream().catch(() => {})
  await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
  child.kill('SIGTERM')
  for (const reader of readers) {
    await reader.ended
    t.equal(reader.response.complete, true)
    t.match(reader.frames.at(-1)?.text, /^: .*shutting down/)
  }
  t.equal(child.exitCode, null)
})

t.test('what is still running when the grace period is over ends with an error, and the hub with 0', async (t) => {
  const { child, exited, stream } = await startRoom(t, ['--grace-ms', '100'], (_request, response) => {
    startStream(response)
    response.write(chunkOf('before'))
  })
  const answer = await stream()
  await answer.until('before')
  child.kill('SIGTERM')
  const { complete, text } = await answer.ended
  t.equal(complete, false)
  t.match(text, /before[\s\S]*"message":"Alice.*The hub is shutting down/)
  t.equal((await exited).code, 0)
})

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
] as const) {
  t.test(`a second signal ends it at once, whatever runs: ${first}, ${second}`, async (t) => {
    const { child, exited, url, llm, stream } = await startRoom(t, LONG_GRACE, answerNever)
    void stream().catch(() => {})
    await eventually(() => llm.requests.length === 1, 'the request at the LLM server')
    child.kill(first)
    await refusing(url)
    child.kill(second)
    const { code, signal } = await exited
    t.ok(code !== 0, `code ${code}, signal ${signal}`)
  })
}

// Browsers open connections on suspicion, and port scanners hold what they have.
t.test('a connection on which nothing was ever asked does not keep the hub alive', async (t) => {
  const { child, exited, url } = await startChildHub(t, ['--grace-ms', '100'])
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  await fetch(`${url}/health`)
  child.kill('SIGTERM')
  t.equal((await exited).code, 0)
})
