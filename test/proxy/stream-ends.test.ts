import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import type { EventData } from '../../schemas/events.ts'
import { answerByHand } from '../support/by-hand.ts'
import { open, type WholeAnswer } from '../support/chat.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'
import { withCrLf } from '../support/protocol-units.ts'
import { TALK } from '../support/real-answers.ts'
import { readLastError, SPOKEN, type Spoken } from '../support/spoken.ts'
import { type EventReader, readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

interface Stage extends Kitchen {
  events: EventReader
  /** Streams this text, and once the client has it, ends the connection that way. */
  play(spoken: Spoken, text: string, end: (response: ServerResponse) => void): Promise<WholeAnswer>
}

async function openStage(t: Test): Promise<Stage> {
  const llm = answerByHand()
  const kitchen = await openKitchen(t, llm.answerer)
  const events = await readEvents(t, kitchen.eventsUrl)
  const play: Stage['play'] = async ({ path, type, request, streamed }, text, end) => {
    const coming = open(t, `${kitchen.url}/rooms/${kitchen.code}${path}`, { ...request, ...streamed })
    const { response } = await llm.next()
    response.writeHead(200, { 'content-type': type }).write(text)
    const answer = await coming
    await answer.has(text)
    end(response)
    return answer.ended
  }
  return { ...kitchen, events, play }
}

/** How a connection may end before its answer has. */
const ENDS: Record<string, (response: ServerResponse) => void> = {
  'is closed': (response) => void response.destroy(),
  'is reset': (response) => void response.socket?.resetAndDestroy(),
  'brings what is no HTTP': (response) => void response.socket?.end('xyz\r\n'),
}

const [CLOSED, RESET] = [ENDS['is closed']!, ENDS['is reset']!]

/** A stream's beginning, in the midst of which it breaks off. */
const BEGINNINGS: Record<string, (spoken: Spoken) => string> = {
  'behind a frame': ({ answers }) => answers(TALK).stream.frames.slice(0, -1).join(''),
  'behind its first frame': ({ answers }) => answers().stream.frames[0] as string,
  'within a frame': ({ answers }) => answers(TALK).stream.frames.slice(0, 2).join('').slice(0, -9),
  'behind a line of a frame': ({ answers }) => `${answers().stream.frames.slice(0, -1).join('').trimEnd()}\n`,
  'within its last frame': ({ answers }) => answers().stream.frames.join('').trimEnd().slice(0, -1),
}

/** What follows what was sent: an error in the API's own form, alone on its lines. */
function endsWithError(
  t: Test,
  spoken: Spoken,
  { text, complete, status }: WholeAnswer,
  sent: string,
  what: string,
): void {
  t.equal(status, 200, what)
  t.ok(text.startsWith(sent), what)
  t.notOk(complete, `${what}: a cut answer looks cut`)
  const { message, code } = readLastError(spoken, text)
  t.match(message, /^Alice \(alice\) broke off: [A-Z][\w ]+$/, what)
  if (code !== undefined) t.equal(code, 'PTL_PROXY_FAILED', what)
}

for (const [how, end] of Object.entries(ENDS)) {
  t.test(`a stream whose connection ${how} midway ends with an error of its own form, and cut`, async (t) => {
    const { play, events } = await openStage(t)
    for (const spoken of SPOKEN) {
      for (const [where, textOf] of Object.entries(BEGINNINGS)) {
        const what = `${spoken.server} ${where}`
        const sent = textOf(spoken)
        endsWithError(t, spoken, await play(spoken, sent, end), sent, what)
        const { data } = await events.next('llm:error')
        t.match(data, { protocol: spoken.protocol, stage: 'stream', participantId: 'alice', retrying: false }, what)
      }
    }
    t.equal(events.frames.filter(({ event }) => event === 'llm:complete').length, 0)
  })
}

t.test('so it does where lines end with CRLF', async (t) => {
  const { play } = await openStage(t)
  for (const spoken of SPOKEN) {
    for (const [where, textOf] of Object.entries(BEGINNINGS)) {
      const sent = withCrLf(textOf(spoken))
      endsWithError(t, spoken, await play(spoken, sent, CLOSED), sent, `${spoken.server} ${where}`)
    }
  }
})

t.test('nothing stands between the last whole frame and the error', async (t) => {
  const { play } = await openStage(t)
  for (const spoken of SPOKEN) {
    for (const textOf of [BEGINNINGS['behind a frame']!, BEGINNINGS['behind its first frame']!]) {
      const sent = textOf(spoken)
      const { text } = await play(spoken, sent, CLOSED)
      t.match(text.slice(sent.length), /^(event: error\ndata: |data: )?\{/, spoken.server)
    }
  }
})

t.test('the error tells nothing of what was said, nor of where it was', async (t) => {
  const { play, llm } = await openStage(t)
  for (const spoken of SPOKEN) {
    const sent = BEGINNINGS['within a frame']!(spoken)
    const { text } = await play(spoken, sent, RESET)
    const { message } = readLastError(spoken, text)
    t.notMatch(message, /Soy|999|DONE|127\.0\.0\.1/, spoken.server)
    t.notOk(message.includes(String(llm.port)), spoken.server)
  }
})

/** A whole stream whose connection does not end as it should. */
async function isComplete(
  t: Test,
  { play, events }: Stage,
  spoken: Spoken,
  text: string,
  end: typeof CLOSED,
  what: string,
) {
  const answer = await play(spoken, text, end)
  t.equal(answer.text, text, what)
  t.ok(answer.complete, `${what}: it has its proper end`)
  const { metrics, protocol } = (await events.next('llm:complete')).data as EventData<'llm:complete'>
  t.match(
    { ...metrics, protocol },
    { ...spoken.answers().stream.usage, estimated: false, protocol: spoken.protocol },
    what,
  )
}

for (const [how, end] of Object.entries(ENDS)) {
  t.test(`a stream whose connection ${how} behind its own last frame is complete`, async (t) => {
    const stage = await openStage(t)
    for (const spoken of SPOKEN) {
      for (const said of ['Soy sauce.', TALK]) {
        const text = spoken.answers(said).stream.frames.join('')
        await isComplete(t, stage, spoken, text, end, spoken.server)
        await isComplete(t, stage, spoken, withCrLf(text), end, `${spoken.server} with CRLF`)
      }
    }
    t.equal(stage.events.frames.filter(({ event }) => event === 'llm:error').length, 0)
  })
}

t.test('so is one whose last frame is longer than what the hub keeps', async (t) => {
  const stage = await openStage(t)
  for (const spoken of SPOKEN) {
    const text = spoken.answers(`${TALK}${'word '.repeat(10_000)}`).stream.frames.join('')
    await isComplete(t, stage, spoken, text, RESET, spoken.server)
  }
})

t.test('a line’s end that is still missing makes no difference to who reads line by line', async (t) => {
  const { play, events } = await openStage(t)
  for (const spoken of SPOKEN.filter(({ type }) => type === 'text/event-stream')) {
    const text = `${spoken.answers().stream.frames.join('').trimEnd()}\n`
    const answer = await play(spoken, text, RESET)
    t.strictSame([answer.text, answer.complete], [text, true], spoken.server)
    await events.next('llm:complete')
  }
})

t.test('a stream that ends properly without its own last frame is passed on as it is', async (t) => {
  const { play, events, url } = await openStage(t)
  for (const spoken of SPOKEN) {
    const text = BEGINNINGS['behind its first frame']!(spoken)
    const answer = await play(spoken, text, (response) => void response.end())
    t.strictSame([answer.text, answer.complete], [text, true], spoken.server)
  }
  const seen = await eventsSoFar(url, events)
  t.equal(seen.filter((event) => event === 'llm:complete').length, SPOKEN.length)
})

t.test('a plain answer that breaks off is cut, and nothing is added to it', async (t) => {
  const stage = await openStage(t)
  for (const spoken of SPOKEN) {
    for (const end of [CLOSED, RESET]) {
      const half = spoken.answers().plain.text.slice(0, 40)
      const answer = await stage.play({ ...spoken, type: 'application/json' as never, streamed: {} }, half, end)
      t.strictSame([answer.text, answer.complete], [half, false], spoken.server)
      t.match((await stage.events.next('llm:error')).data, { stage: 'stream' })
    }
  }
})

t.test('an error of the participant’s that breaks off is no stream', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, { stream: true })
  const { response } = await llm.next()
  response.writeHead(500, { 'content-type': 'application/json' }).write('{"error":')
  const answer = await coming
  await answer.has('{"error":')
  response.destroy()
  const { text, complete, status } = await answer.ended
  t.strictSame([status, text, complete], [500, '{"error":', false])
})

t.test('the fetching of a model ends by the same rules', async (t) => {
  const llm = answerByHand()
  const { url, code } = await openKitchen(t, llm.answerer, { participant: { manage: true } })
  const lines = [{ status: 'pulling manifest' }, { status: 'downloading', completed: 7 }, { status: 'success' }]
  for (const count of [1, 2, 3]) {
    const sent = lines.slice(0, count).map((line) => `${JSON.stringify(line)}\n`)
    const coming = open(t, `${url}/rooms/${code}/api/pull`, { model: 'llama3.2:3b' })
    const { response } = await llm.next()
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).write(sent.join(''))
    const answer = await coming
    await answer.has(sent.join(''))
    response.socket?.resetAndDestroy()
    const { text, complete } = await answer.ended
    t.equal(complete, count === lines.length, `${count} lines`)
    const rest = text.slice(sent.join('').length)
    if (complete) t.equal(rest, '')
    else t.match(JSON.parse(rest), { error: /^Alice \(alice\) broke off: / })
  }
})
