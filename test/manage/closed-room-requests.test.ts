import t, { type Test } from 'tap'
import {
  type Answerer,
  answerNever,
  answerPlain,
  chunkOf,
  type SeenRequest,
  startFakeLlm,
  startStream,
} from '../support/fake-llm.ts'
import { join, startHub } from '../support/hub.ts'
import { manageRoom, startRequest } from '../support/managed.ts'
import { dial } from '../support/raw-client.ts'
import { eventually } from '../support/wire.ts'

const STREAMED = { model: '*', messages: [], stream: true }

/** Says its first word, and the rest when the test lets it. */
function twoWords(first: string, second: string) {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const answer: Answerer = async (_request, response) => {
    startStream(response)
    response.write(chunkOf(first))
    await promise
    response.end(`${chunkOf(second)}data: [DONE]\n\n`)
  }
  return { answer, goOn }
}

async function startRoom(t: Test, graceMs: number, answer: Answerer) {
  const [{ url, hub }, llm] = [await startHub(t, { graceMs }), await startFakeLlm(t, answer)]
  const managed = await manageRoom(url)
  await join(url, managed.room.code, { endpoint: llm.url })
  return { ...managed, url, hub, llm, path: `${managed.base}/v1/chat/completions` }
}

/** A request that has reached the LLM server and waits there. */
async function arrived(requests: SeenRequest[], count = 1): Promise<void> {
  await eventually(() => requests.length === count, `request ${count} at the LLM server`)
}

t.test('a stream in flight may finish within the grace period', async (t) => {
  const { answer, goOn } = twoWords('before', 'after')
  const { path, close } = await startRoom(t, 60_000, answer)
  const stream = await startRequest(t, path, STREAMED)
  await stream.until('before')
  t.equal((await close()).status, 200, 'and closing does not wait for it')
  goOn()
  const { complete, text } = await stream.ended
  t.equal(complete, true)
  t.match(text, /before[\s\S]*after[\s\S]*\[DONE\]\n\n$/)
  t.notMatch(text, 'error')
})

t.test('an answer that had not begun may come within the grace period', async (t) => {
  const { llm, close, chat } = await startRoom(t, 60_000, answerNever)
  const { promise, resolve } = Promise.withResolvers<void>()
  llm.answer(async (request, response) => {
    await promise
    await answerPlain('late, but there')(request, response)
  })
  const answer = chat()
  await arrived(llm.requests)
  await close()
  resolve()
  const { status, body } = await answer
  t.equal(status, 200)
  t.equal(body.choices?.[0]?.message.content, 'late, but there')
})

t.test('behind the grace period a stream ends with an error frame, and not properly', async (t) => {
  const { path, llm, close } = await startRoom(t, 50, twoWords('before', 'never').answer)
  const stream = await startRequest(t, path, STREAMED)
  await stream.until('before')
  await close()
  const { complete, text } = await stream.ended
  t.equal(complete, false, 'a cut answer must look cut')
  const last = text.trimEnd().split('\n\n').at(-1) ?? ''
  const { error } = JSON.parse(last.replace(/^data: /, '')) as { error: { message: string } }
  t.match(error.message, /Alice.*The room was closed/)
  await llm.requests[0]?.closed
  t.equal(llm.requests[0]?.aborted, true, 'and the LLM server need not go on')
})

t.test('behind the grace period an answer that has not begun is a 503 in OpenAI’s shape', async (t) => {
  const { llm, close, chat } = await startRoom(t, 50, answerNever)
  const answer = chat()
  await arrived(llm.requests)
  await close()
  const { status, body } = await answer
  t.equal(status, 503)
  t.strictSame(body, {
    error: { message: 'The room was closed', type: body.error?.type, param: null, code: 'PTL_ROOM_CLOSED' },
  })
  await llm.requests[0]?.closed
  t.equal(llm.requests[0]?.aborted, true)
})

t.test('behind the grace period a whole answer that had begun is cut off, without a proper end', async (t) => {
  const { path, close } = await startRoom(t, 50, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
    response.write('{"choices":[')
  })
  const answer = await startRequest(t, path, { model: '*', messages: [] })
  await answer.until('choices')
  await close()
  t.strictSame(await answer.ended, { complete: false, text: '{"choices":[' })
})

t.test('with no grace at all they end at once', async (t) => {
  const { llm, close, chat } = await startRoom(t, 0, answerNever)
  const answer = chat()
  await arrived(llm.requests)
  await close()
  t.equal((await answer).status, 503)
})

t.test('requests in other rooms go on behind that grace period', async (t) => {
  const { answer, goOn } = twoWords('before', 'after')
  const { url, llm, close, chat } = await startRoom(t, 50, answer)
  const garden = await manageRoom(url, { name: 'Garden' })
  await join(url, garden.room.code, { endpoint: llm.url })
  const other = await startRequest(t, `${garden.base}/v1/chat/completions`, STREAMED)
  await other.until('before')
  llm.answer(answerNever)
  const cut = chat()
  await arrived(llm.requests, 2)
  await close()
  t.equal((await cut).status, 503, 'the grace period is over')
  goOn()
  t.equal((await other.ended).complete, true)
})

t.test('a closed room gives back what its requests held', async (t) => {
  const { hub, path, close } = await startRoom(t, 50, twoWords('before', 'never').answer)
  const stream = await startRequest(t, path, STREAMED)
  await stream.until('before')
  await close()
  await stream.ended
  const { ollamaProxy } = await hub.app
  await eventually(() => ollamaProxy.inFlight === 0, 'nothing in flight')
})

t.test('a body that comes more slowly than its room is closed: 503, and not that nobody is there', async (t) => {
  const { url, path, close, llm } = await startRoom(t, 60_000, answerPlain('served'))
  const body = '{"model":"*","messages":[]}'
  const slow = dial(Number(new URL(url).port))
  t.teardown(() => slow.leave())
  const head = `POST ${new URL(path).pathname} HTTP/1.1\r\nHost: hub\r\nContent-Length: ${body.length}\r\n`
  slow.say(`${head}Expect: 100-continue\r\n\r\n`)
  await slow.hears('100 Continue')
  slow.say(body.slice(0, 5))
  await close()
  slow.say(body.slice(5))
  await eventually(() => slow.answers().length === 2, 'the answer behind the interim one')
  t.equal(slow.answers()[1]?.status, 503)
  t.match(slow.answers()[1]?.body, 'The room was closed')
  t.equal(llm.requests.length, 0)
})
