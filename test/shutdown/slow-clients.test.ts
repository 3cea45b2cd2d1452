import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { join, type RunningHub, startHub } from '../support/hub.ts'
import { manageRoom, type OpenAnswer, startRequest } from '../support/managed.ts'
import { eventually } from '../support/wire.ts'

/** Longer than what is merely being written takes to go out. */
const NAP_MS = 500

/** The hub's side of the answer to the next chat. */
async function watchAnswer({ hub }: RunningHub): Promise<() => ServerResponse | undefined> {
  let answer: ServerResponse | undefined
  const { server } = await hub.app
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.endsWith('/chat/completions')) answer = response
  })
  return () => answer
}

/** A client that has not read the end of an answer which the participant has ended: a part of it waits in the hub. */
async function startSlowClient(t: Test, running: RunningHub): Promise<OpenAnswer> {
  const answerOf = await watchAnswer(running)
  const isWaiting = () => (answerOf()?.writableLength ?? 0) > 0
  const { promise: read, resolve: stopReading } = Promise.withResolvers<void>()
  const llm = await startFakeLlm(t, async (_request, response) => {
    startStream(response)
    response.write(chunkOf('begin'))
    await read
    while (!isWaiting() && !response.destroyed) {
      response.write(chunkOf('x'.repeat(16_000)))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    response.end('data: [DONE]\n\n')
  })
  const { room, base } = await manageRoom(running.url)
  await join(running.url, room.code, { endpoint: llm.url })
  const answer = await startRequest(t, `${base}/v1/chat/completions`, { messages: [], stream: true })
  await answer.until('begin')
  answer.response.pause()
  stopReading()
  const { ollamaProxy } = await running.hub.app
  await eventually(() => ollamaProxy.inFlight === 0, 'an answer that has ended')
  t.ok(isWaiting(), 'a part of it waits in the hub')
  return answer
}

t.test('an answer that has ended reaches a client that reads slowly, within the grace period', async (t) => {
  const running = await startHub(t, { graceMs: 60_000 })
  const { response, ended } = await startSlowClient(t, running)
  const closed = running.hub.close()
  await new Promise((resolve) => setTimeout(resolve, NAP_MS))
  response.resume()
  const { complete, text } = await ended
  t.equal(complete, true)
  t.match(text.slice(-100), /data: \[DONE\]\n\n$/)
  await closed
})

t.test('behind the grace period it is cut off', async (t) => {
  const running = await startHub(t, { graceMs: 50 })
  const { response, ended } = await startSlowClient(t, running)
  await running.hub.close()
  response.resume()
  t.equal((await ended).complete, false)
})

t.test('requests that wait for a password’s hash are answered, however many there are', async (t) => {
  const { url, hub } = await startHub(t, { graceMs: 60_000 })
  const { change } = await manageRoom(url)
  let arrived = 0
  const { server } = await hub.app
  server.prependListener('request', () => {
    arrived += 1
  })
  const changes = Array.from({ length: 24 }, (_, index) => change({ password: `password ${index}` }))
  await eventually(() => arrived === changes.length, 'all requests at the hub')
  const [answers] = await Promise.all([Promise.allSettled(changes), hub.close()])
  const cut = answers.filter(({ status }) => status === 'rejected')
  t.equal(cut.length, 0, `${cut.length} of ${answers.length} were broken off`)
  for (const answer of answers) {
    if (answer.status === 'fulfilled') t.ok([200, 503].includes(answer.value.status), String(answer.value.status))
  }
})
