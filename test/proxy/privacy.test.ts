import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { open, post, send } from '../support/chat.ts'
import {
  type Answerer,
  answerBrokenStream,
  answerPlain,
  answerStream,
  chunkOf,
  startStream,
} from '../support/fake-llm.ts'
import { type Kitchen, openKitchen, openRoomFor } from '../support/kitchen.ts'
import { startRawLlm } from '../support/raw-llm.ts'
import { type EventReader, readEvents } from '../support/sse.ts'

const PROMPT = 'open-sesame-prompt'
const ANSWER = 'open-sesame-answer'
const CREDENTIALS = {
  authorization: 'Bearer open-sesame-key',
  cookie: 'session=open-sesame',
  'x-api-key': 'open-sesame',
}
const CHAT = { model: '*', stream: true, messages: [{ role: 'user', content: PROMPT }] }

/** All that the hub logs, at the level that logs most. */
function captureLog() {
  const stream = new PassThrough()
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return {
    options: { logger: pino({ level: 'trace' }, stream), logLevel: 'trace' as const },
    text: () => Buffer.concat(chunks).toString(),
  }
}

interface Watched {
  log: ReturnType<typeof captureLog>
  events: EventReader
}

async function watch(t: Test, answerer: Answerer): Promise<Watched & Kitchen> {
  const log = captureLog()
  const kitchen = await openKitchen(t, answerer, { hub: log.options })
  return { ...kitchen, log, events: await readEvents(t, kitchen.eventsUrl) }
}

function keepsSecrets(t: Test, { log, events }: Watched): void {
  t.match(log.text(), 'Server listening', 'the log was captured')
  t.notMatch(log.text(), 'sesame', 'no log line')
  t.ok(events.frames.length > 1, 'events were captured')
  t.notMatch(events.frames.map(({ text }) => text).join('\n'), 'sesame', 'no event')
}

/** How a request may end, where the participant repeats the prompt or says something of its own. */
const OUTCOMES: [string, string, Answerer][] = [
  ['a plain answer', 'llm:complete', answerPlain(ANSWER)],
  ['a streamed answer', 'llm:complete', answerStream([ANSWER, PROMPT])],
  ['a broken stream', 'llm:error', answerBrokenStream([ANSWER])],
  [
    'an error that repeats the prompt',
    'llm:error',
    (_request, response) => void response.writeHead(400, PROMPT).end(JSON.stringify({ error: { message: PROMPT } })),
  ],
  [
    'a redirect to an address that repeats it',
    'llm:error',
    (_request, response) => void response.writeHead(302, { location: `/${PROMPT}` }).end(ANSWER),
  ],
]

for (const [what, ending, answerer] of OUTCOMES) {
  t.test(`${what} leaves neither prompt nor answer in events and log`, async (t) => {
    const watched = await watch(t, answerer)
    await send(t, watched.chatUrl, CHAT, CREDENTIALS)
    await watched.events.next(ending)
    keepsSecrets(t, watched)
  })
}

for (const [what, bytes] of [
  ['an answer that is no HTTP', `${ANSWER} ${PROMPT}\r\n`],
  [
    'a stream that turns into something else',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n${ANSWER}\r\n`,
  ],
] as const) {
  t.test(`${what} leaves nothing of it in events and log`, async (t) => {
    const log = captureLog()
    const llm = await startRawLlm(t, (socket) => void socket.end(bytes))
    const { chatUrl, eventsUrl } = await openRoomFor(t, llm.url, { hub: log.options })
    const events = await readEvents(t, eventsUrl)
    const { text } = await send(t, chatUrl, CHAT, CREDENTIALS)
    await events.next('llm:error')
    keepsSecrets(t, { log, events })
    t.notMatch(text, PROMPT)
  })
}

t.test('a client that leaves leaves nothing behind', async (t) => {
  const watched = await watch(t, (_request, response) => {
    startStream(response)
    response.write(chunkOf(ANSWER))
  })
  const outgoing = post(watched.chatUrl, CHAT, CREDENTIALS).on('error', () => {})
  await watched.events.next('llm:request')
  outgoing.destroy()
  await watched.events.next('llm:cancelled')
  keepsSecrets(t, watched)
})

const REFUSED = [
  `{"model":"*","messages":"${PROMPT}`,
  `${PROMPT}`,
  `{"model":"${PROMPT}\\n"}`,
  `{"model":"*","model":"${PROMPT}"}`,
  JSON.stringify({ ...CHAT, model: 'nobody-has-it' }),
]

t.test('a request that is refused leaves nothing in the log, and its error repeats nothing', async (t) => {
  const watched = await watch(t, answerPlain(ANSWER))
  for (const body of REFUSED) {
    const { status, text } = await send(t, watched.chatUrl, body, CREDENTIALS)
    t.ok(status >= 400)
    t.notMatch(text, 'sesame')
  }
  await send(t, watched.chatUrl, CHAT, CREDENTIALS)
  await watched.events.next('llm:complete')
  keepsSecrets(t, watched)
})

t.test('a body over the limit leaves nothing in the log', async (t) => {
  const log = captureLog()
  const { chatUrl } = await openKitchen(t, answerPlain(ANSWER), {
    hub: { ...log.options, inferenceBodyLimit: 1024 },
  })
  t.equal((await send(t, chatUrl, PROMPT.repeat(100), CREDENTIALS)).status, 413)
  t.notMatch(log.text(), 'sesame')
})

t.test('a stream that is cut by the end of the hub leaves nothing in the log', async (t) => {
  const log = captureLog()
  const { chatUrl, hub } = await openKitchen(t, answerStream(Array(1000).fill(ANSWER), { pauseMs: 10 }), {
    hub: { ...log.options, graceMs: 0 },
  })
  const { has, ended } = await open(t, chatUrl, CHAT, CREDENTIALS)
  await has(ANSWER)
  await hub.close()
  t.notOk((await ended).complete)
  t.notMatch(log.text(), 'sesame')
})
