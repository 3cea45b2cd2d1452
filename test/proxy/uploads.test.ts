import { randomBytes } from 'node:crypto'
import { setImmediate as tick } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import type { HubOptions } from '../../src/hub.ts'
import { errorOf, post, send, within } from '../support/chat.ts'
import { MIB } from '../support/flood.ts'
import { join } from '../support/hub.ts'
import { openKitchen, openRoomFor } from '../support/kitchen.ts'
import { keepLog } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { type Answered, type Arriving, BOUNDARY, FORM, formOf, startSending, startTaker } from '../support/uploads.ts'
import { eventsSoFar, eventually } from '../support/wire.ts'

const REAL = 'llama3.2:3b'
const PROMPTLY_MS = 5000

/** Bytes that a parser that looks for lines, boundaries or fields might trip over. */
function trickyFile(bytes: number): Buffer {
  const decoy = `\r\n--${BOUNDARY}x\r\nContent-Disposition: form-data; name="model"\r\n\r\ndecoy\r\n\r\n--\n--${BOUNDARY}--`
  return Buffer.concat([Buffer.from(decoy), randomBytes(bytes), Buffer.from(`${decoy}\r`)])
}

interface Studio {
  hub?: HubOptions
  participant?: Partial<JoinBody>
  isReading?: boolean
}

/** A room with one participant that takes uploads. */
async function openStudio(t: Test, { hub = {}, participant = {}, isReading = true }: Studio = {}) {
  const taker = await startTaker(t, { isReading })
  const room = await openRoomFor(t, taker.url, { hub, participant })
  const base = `${room.url}/rooms/${room.code}/v1`
  return { ...room, taker, base, speechUrl: `${base}/audio/transcriptions` }
}

/** A small answer, where the upload is all there. */
async function answer({ ended, response }: Arriving): Promise<void> {
  await ended
  response.setHeader('content-type', 'application/json').end('{"text":"Dinner is ready"}')
}

const errorIn = ({ body }: Answered) => errorOf({ text: body.toString() } as never)

t.test('every byte of a form goes on but the model’s name, and the length is that of what goes on', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const file = { name: 'file', filename: 'a.mp3', value: trickyFile(300_000) }
  const formWith = (model: string) => formOf({ name: 'model', value: model }, file, { name: 'language', value: 'en' })
  const sent = formWith('*')
  const answered = send(t, speechUrl, sent, { 'content-type': FORM })
  const arriving = await taker.next()
  await answer(arriving)
  t.equal((await answered).text, '{"text":"Dinner is ready"}')
  t.ok(arriving.bytes.equals(formWith(REAL)))
  t.match(arriving.incoming, { method: 'POST', url: '/v1/audio/transcriptions' })
  t.match(arriving.incoming.headers, { 'content-type': FORM, 'content-length': String(formWith(REAL).length) })
  t.notOk('transfer-encoding' in arriving.incoming.headers)
})

t.test('a form in chunks goes on in chunks', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const file = { name: 'file', filename: 'a.mp3', value: trickyFile(100_000) }
  const formWith = (model: string) => formOf(file, { name: 'model', value: model })
  const sending = await startSending(t, speechUrl)
  for (let at = 0; at < formWith('alice').length; at += 50_000) {
    await sending.write(formWith('alice').subarray(at, at + 50_000))
  }
  await sending.end()
  const arriving = await taker.next()
  await answer(arriving)
  t.equal((await sending.answer()).status, 200)
  t.match(arriving.incoming.headers, { 'transfer-encoding': 'chunked' })
  t.notOk('content-length' in arriving.incoming.headers)
  // It stands behind more than what is looked at.
  t.ok(arriving.bytes.equals(formWith('alice')))
})

t.test('the model may stand behind a file, within what is looked at', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const file = { name: 'file', filename: 'a.mp3', value: trickyFile(30_000) }
  const formWith = (model: string) => formOf(file, { name: 'model', value: model })
  const answered = send(t, speechUrl, formWith('alice'), { 'content-type': FORM })
  const arriving = await taker.next()
  await answer(arriving)
  t.equal((await answered).headers['x-potluck-model'], REAL)
  t.ok(arriving.bytes.equals(formWith(REAL)))
})

/** Two participants with a model each; who gets the request is told by its answer. */
async function openTwo(t: Test) {
  const studio = await openStudio(t)
  const other = await startTaker(t)
  await join(studio.url, studio.code, { id: 'bob', nickname: 'Bob', model: 'whisper-1', endpoint: other.url })
  return { ...studio, other }
}

t.test('where the model stands too far behind, a header says it, and every byte goes on', async (t) => {
  const { speechUrl, other, taker } = await openTwo(t)
  const form = formOf(
    { name: 'file', filename: 'a', value: randomBytes(200_000) },
    { name: 'model', value: 'whisper-1' },
  )
  const answered = send(t, speechUrl, form, { 'content-type': FORM, 'x-potluck-model': 'whisper-1' })
  const arriving = await other.next()
  await answer(arriving)
  t.equal((await answered).headers['x-potluck-participant'], 'bob')
  t.ok(arriving.bytes.equals(form))
  t.notOk('x-potluck-model' in arriving.incoming.headers, 'it is for the hub')
  t.equal(taker.count, 0)
})

t.test('raw audio names its model by the header, and is not touched', async (t) => {
  const { speechUrl, other, taker } = await openTwo(t)
  const sound = trickyFile(100_000)
  const answered = send(t, speechUrl, sound, { 'content-type': 'audio/wav', 'x-potluck-model': 'whisper-1' })
  const arriving = await other.next()
  await answer(arriving)
  t.equal((await answered).headers['x-potluck-participant'], 'bob')
  t.ok(arriving.bytes.equals(sound))
  t.equal(arriving.incoming.headers['content-type'], 'audio/wav')
  t.equal(taker.count, 0)
})

t.test('without a model anybody serves, and nothing is added', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  for (const [type, body] of [
    [FORM, formOf({ name: 'file', filename: 'a', value: trickyFile(1000) })],
    ['audio/wav', trickyFile(1000)],
    ['multipart/form-data', formOf({ name: 'model', value: 'nobody' })],
  ] as const) {
    const answered = send(t, speechUrl, body, { 'content-type': type })
    const arriving = await taker.next()
    await answer(arriving)
    t.equal((await answered).status, 200, type)
    t.ok(arriving.bytes.equals(body), type)
  }
})

t.test('images are edited and varied by the same way', async (t) => {
  const { base, taker } = await openStudio(t)
  for (const path of ['images/edits', 'images/variations', 'audio/translations']) {
    const formWith = (model: string) =>
      formOf({ name: 'model', value: model }, { name: 'image', filename: 'a', value: 'x' })
    const answered = send(t, `${base}/${path}`, formWith('alice'), { 'content-type': FORM })
    const arriving = await taker.next()
    await answer(arriving)
    t.equal((await answered).status, 200, path)
    t.equal(arriving.incoming.url, `/v1/${path}`)
    t.ok(arriving.bytes.equals(formWith(REAL)), path)
  }
})

t.test('the first bytes reach the participant before the last are sent', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const form = formOf({ name: 'model', value: REAL }, { name: 'file', filename: 'a', value: 'x'.repeat(10_000) })
  const sending = await startSending(t, speechUrl, { length: form.length })
  await sending.write(form.subarray(0, 1000))
  const arriving = await taker.next()
  for (const length of [1000, 5000, 9000]) {
    await sending.write(form.subarray(arriving.bytes.length, length))
    await arriving.until(length)
  }
  await sending.write(form.subarray(9000))
  await answer(arriving)
  t.equal((await sending.answer()).status, 200)
  t.ok(arriving.bytes.equals(form))
})

const FLOOD = 64 * MIB
/** The buffers of four sockets, and a little of the hub. */
const MOST_BYTES = 32 * MIB

/** Sends as much as somebody takes. */
async function flood(sending: Awaited<ReturnType<typeof startSending>>, progress: { sent: number }): Promise<void> {
  const piece = Buffer.alloc(MIB, 'x')
  for (; progress.sent < FLOOD; progress.sent += piece.length) await sending.write(piece)
}

t.test('a participant that does not read makes the client stop, and costs the hub no memory', async (t) => {
  const { speechUrl, taker } = await openStudio(t, { isReading: false, hub: { inferenceBodyLimit: FLOOD } })
  const before = process.memoryUsage().arrayBuffers
  const sending = await startSending(t, speechUrl, { contentType: 'audio/wav', length: FLOOD })
  const progress = { sent: 0 }
  const flooding = flood(sending, progress)
  const arriving = await taker.next()
  for (let last = -1; last !== progress.sent; ) {
    last = progress.sent
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  t.ok(progress.sent < MOST_BYTES, `${progress.sent / MIB} MiB were taken`)
  t.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB)
  arriving.incoming.resume()
  await flooding
  await answer(arriving)
  t.equal((await sending.answer()).status, 200)
  t.equal(arriving.bytes.length, FLOOD)
})

const SMALL = { hub: { inferenceBodyLimit: 10_000 } }

t.test('what is announced too long is refused before anything goes on', async (t) => {
  const { speechUrl, taker, base } = await openStudio(t, SMALL)
  for (const [url, contentType] of [
    [speechUrl, FORM],
    [speechUrl, 'audio/wav'],
    [`${base}/audio/speech`, 'application/json'],
  ] as const) {
    const sending = await startSending(t, url, { contentType, length: 10_001 })
    const answered = await sending.answer()
    t.equal(answered.status, 413, contentType)
    t.match(errorIn(answered), { message: 'The body is larger than 10000 bytes', type: 'invalid_request_error' })
  }
  t.equal(taker.count, 0)
})

t.test('what becomes too long in chunks is refused where it does, and the participant sees no end of it', async (t) => {
  const { speechUrl, taker, eventsUrl } = await openStudio(t, SMALL)
  const events = await readEvents(t, eventsUrl)
  const sending = await startSending(t, speechUrl, { contentType: 'audio/wav' })
  await sending.write(Buffer.alloc(9000))
  const arriving = await taker.next()
  await arriving.until(9000)
  await sending.write(Buffer.alloc(1001))
  const answered = await sending.answer()
  t.equal(answered.status, 413)
  t.equal(errorIn(answered).code, 'PTL_BODY_TOO_LARGE')
  await within(arriving.closed, PROMPTLY_MS, 'the participant’s connection is closed')
  t.notOk(arriving.incoming.complete)
  t.match((await events.next('llm:error')).data, { participantId: 'alice' })
})

t.test('a form in chunks that is too long before its model is known goes to nobody', async (t) => {
  const { speechUrl, taker, base } = await openStudio(t, SMALL)
  const form = formOf({ name: 'file', filename: 'a', value: Buffer.alloc(10_000) }, { name: 'model', value: '*' })
  for (const [url, contentType] of [
    [speechUrl, FORM],
    [`${base}/audio/speech`, 'application/json'],
  ] as const) {
    const sending = await startSending(t, url, { contentType })
    await sending.write(form)
    t.equal((await sending.answer()).status, 413, contentType)
  }
  t.equal(taker.count, 0)
})

t.test('a form of just the limit passes, also where its model has a longer name there', async (t) => {
  const { speechUrl, taker } = await openStudio(t, { ...SMALL, participant: { model: 'm'.repeat(200) } })
  const front = formOf({ name: 'model', value: '*' }, { name: 'file', filename: 'a', value: '' }).length
  const form = formOf({ name: 'model', value: '*' }, { name: 'file', filename: 'a', value: 'x'.repeat(10_000 - front) })
  for (const length of [form.length, undefined]) {
    const sending = await startSending(t, speechUrl, length === undefined ? {} : { length })
    await sending.write(form)
    await sending.end()
    const arriving = await taker.next()
    await answer(arriving)
    t.equal((await sending.answer()).status, 200, `announced: ${length}`)
    t.equal(arriving.bytes.length, 10_199)
  }
})

t.test('a client that goes away in mid-upload ends it at the participant', async (t) => {
  for (const length of [100_000, undefined]) {
    const { speechUrl, taker, eventsUrl } = await openStudio(t)
    const events = await readEvents(t, eventsUrl)
    const sending = await startSending(t, speechUrl, {
      contentType: 'audio/wav',
      ...(length === undefined ? {} : { length }),
    })
    await sending.write(Buffer.alloc(5000))
    const arriving = await taker.next()
    await arriving.until(5000)
    sending.socket.destroy()
    await within(arriving.closed, PROMPTLY_MS, 'the participant’s connection is closed')
    t.notOk(arriving.incoming.complete)
    t.match((await events.next('llm:cancelled')).data, { participantId: 'alice' })
    t.equal(events.frames.filter(({ event }) => event === 'llm:error').length, 0)
  }
})

t.test('a client that goes away before its model is known is nobody’s concern', async (t) => {
  const { logger, lines } = keepLog()
  const { url, base, speechUrl, taker, eventsUrl } = await openStudio(t, { hub: { logger } })
  const events = await readEvents(t, eventsUrl)
  for (const [target, contentType] of [
    [speechUrl, FORM],
    [`${base}/audio/speech`, 'application/json'],
  ] as const) {
    const before = lines.filter((line) => line.includes('"status":499')).length
    const sending = await startSending(t, target, { contentType, length: 1000 })
    await sending.write('--')
    await tick()
    sending.socket.destroy()
    await eventually(
      () => lines.filter((line) => line.includes('"status":499')).length > before,
      'the line of the request',
    )
  }
  t.equal(taker.count, 0)
  t.strictSame(await eventsSoFar(url, events), ['connected'])
  t.strictSame(
    lines.filter((line) => (JSON.parse(line) as { level: number }).level >= 40),
    [],
    'no fault is logged',
  )
})

/** A form of which the most is still to come. */
const LONG_FORM = formOf(
  { name: 'model', value: '*' },
  { name: 'file', filename: 'a', value: Buffer.alloc(4 * MIB, 'x') },
)
const BEGINNING = 10_000

for (const framing of ['with its length', 'in chunks'] as const) {
  const sized = framing === 'in chunks' ? {} : { length: LONG_FORM.length }

  t.test(`an answer that comes early reaches the client, and the rest is let by: ${framing}`, async (t) => {
    const { speechUrl, taker } = await openStudio(t)
    const sending = await startSending(t, speechUrl, sized)
    await sending.write(LONG_FORM.subarray(0, BEGINNING))
    const arriving = await taker.next()
    arriving.response.writeHead(422, { 'content-type': 'application/json' }).end('{"error":"no such language"}')
    const answered = await sending.answer()
    t.strictSame([answered.status, answered.body.toString()], [422, '{"error":"no such language"}'])
    await within(sending.write(LONG_FORM.subarray(BEGINNING)), PROMPTLY_MS, 'the client gets rid of the rest')
    await sending.end()
    t.equal((await sending.ask('/health')).status, 200, 'the next request on the connection is served')
    t.equal(taker.count, 1, 'it was tried once')
  })

  t.test(`a participant that dies in mid-upload is a 502, tried once: ${framing}`, async (t) => {
    const { url, code, speechUrl, taker, eventsUrl } = await openStudio(t)
    const other = await startTaker(t)
    await join(url, code, { id: 'bob', nickname: 'Bob', model: 'whisper-1', endpoint: other.url })
    const events = await readEvents(t, eventsUrl)
    const sending = await startSending(t, speechUrl, sized)
    const named = Buffer.from(LONG_FORM.toString('latin1').replace('\r\n*\r\n', '\r\nalice\r\n'), 'latin1')
    await sending.write(named.subarray(0, BEGINNING))
    const arriving = await taker.next()
    await arriving.until(1000)
    arriving.incoming.socket.resetAndDestroy()
    const answered = await sending.answer()
    t.equal(answered.status, 502)
    t.match(errorIn(answered).message, /^Failed to proxy request: Alice \(alice\): Connection (closed|reset)$/)
    t.match((await events.next('llm:error')).data, { participantId: 'alice' })
    await within(sending.write(LONG_FORM.subarray(BEGINNING)), PROMPTLY_MS, 'the client gets rid of the rest')
    await sending.end()
    t.equal((await sending.ask('/health')).status, 200, 'the next request on the connection is served')
    t.strictSame([taker.count, other.count], [1, 0])
  })

  t.test(`a refusal comes before the rest, which is let by: ${framing}`, async (t) => {
    const { speechUrl, taker } = await openStudio(t)
    const form = Buffer.from(LONG_FORM.toString('latin1').replace('\r\n*\r\n', '\r\n?\r\n'), 'latin1')
    const sending = await startSending(t, speechUrl, sized)
    await sending.write(form.subarray(0, BEGINNING))
    const answered = await sending.answer()
    t.strictSame([answered.status, errorIn(answered).code], [404, 'model_not_found'])
    await within(sending.write(form.subarray(BEGINNING)), PROMPTLY_MS, 'the client gets rid of the rest')
    await sending.end()
    t.equal((await sending.ask('/health')).status, 200, 'the next request on the connection is served')
    t.equal(taker.count, 0)
  })
}

t.test('a model that is there twice, or that no name can be, is refused', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const twice = formOf({ name: 'model', value: 'alice' }, { name: 'model', value: '*' })
  const cases = [
    [twice, 'model must be there only once'],
    [formOf({ name: 'model', value: 'a\u0007b' }), 'model must be a text of at most 200 characters'],
    [formOf({ name: 'model', value: 'x'.repeat(201) }), 'model must be a text of at most 200 characters'],
  ] as const
  for (const [form, message] of cases) {
    const refused = await send(t, speechUrl, form, { 'content-type': FORM })
    t.equal(refused.status, 400)
    t.match(errorOf(refused), { message, type: 'invalid_request_error', code: 'PTL_INVALID_FIELD' })
  }
  t.equal(taker.count, 0)
})

t.test('sound that is answered arrives as it is, and no tokens are made up for it', async (t) => {
  // Blank lines among them, which in a text would end its frames.
  const sound = Buffer.concat([randomBytes(100_000), Buffer.from('\n\n\n\n')])
  const { url, code, eventsUrl, llm } = await openKitchen(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': sound.length }).end(sound)
  })
  const events = await readEvents(t, eventsUrl)
  const body = { model: 'alice', input: 'Dinner is ready', voice: 'alloy' }
  const answered = await send(t, `${url}/rooms/${code}/v1/audio/speech`, body)
  t.equal(answered.headers['content-type'], 'audio/mpeg')
  t.ok(answered.body.equals(sound))
  t.strictSame(JSON.parse(llm.requests[0]!.body.toString()), { ...body, model: REAL })
  const { metrics } = (await events.next('llm:complete')).data as { metrics: Record<string, number> }
  t.match(metrics, { outputTokens: 0, estimated: true, tokensPerSecond: 0 })
  t.ok((metrics.inputTokens ?? 0) > 0, 'the text was read')
})

t.test('an upload that nobody answers ends when its client goes away', async (t) => {
  const { speechUrl, taker } = await openStudio(t)
  const outgoing = post(speechUrl, formOf({ name: 'model', value: '*' }), { 'content-type': FORM }).on(
    'error',
    () => {},
  )
  const arriving = await taker.next()
  await arriving.ended
  outgoing.destroy()
  await within(arriving.closed, PROMPTLY_MS, 'the participant’s connection is closed')
  t.equal(taker.count, 1)
})
