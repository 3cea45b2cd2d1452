import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import OpenAI, { toFile, toStreamingFile } from 'openai'
import t, { type Test } from 'tap'
import { answerCut, answerFrames, answerJson, bodyOf, dataFrame, EVENTS, formOf } from '../support/client-answers.ts'
import {
  failureOf,
  isLeft,
  MODEL,
  openClientKitchen,
  openKitchenByHand,
  REAL_MODEL,
  readStream,
} from '../support/clients.ts'
import { type Answerer, type SeenRequest, startFakeLlm } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { openaiError } from '../support/openai-answers.ts'

function clientOf({ room }: { room: string }): OpenAI {
  return new OpenAI({ baseURL: `${room}/v1`, apiKey: 'unused', maxRetries: 0 })
}

async function openClient(t: Test, answerer: Answerer) {
  const kitchen = await openClientKitchen(t, answerer)
  return { ...kitchen, openai: clientOf(kitchen) }
}

/** Any bytes at all, line ends and dashes of a form's border among them. */
const SOUND = Buffer.concat([randomBytes(300_000), Buffer.from('\r\n--border\r\n\r\n--'), randomBytes(100)])
const PICTURE = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(90_000)])

async function filesOf(request: SeenRequest, field: string): Promise<{ name: string; type: string; bytes: Buffer }[]> {
  const entries = (await formOf(request)).getAll(field)
  return Promise.all(
    entries.map(async (entry) => {
      if (typeof entry === 'string') throw new Error(`${field} should be a file`)
      return { name: entry.name, type: entry.type, bytes: Buffer.from(await entry.arrayBuffer()) }
    }),
  )
}

const HEARD = { text: 'Dinner is ready ☕', usage: { type: 'duration', seconds: 3 } }

for (const [name, order] of Object.entries({
  'before the file': (file: File) => ({ model: MODEL, language: 'en', file }),
  'behind the file': (file: File) => ({ file, language: 'en', model: MODEL }),
})) {
  t.test(`audio.transcriptions.create: bytes arrive intact, the model's name is replaced (${name})`, async (t) => {
    const { openai, llm } = await openClient(t, answerJson(HEARD))
    // A form says its model within the first 64 KiB, or it is not found.
    const sound = name.startsWith('behind') ? SOUND.subarray(-50_000) : SOUND
    const file = await toFile(sound, 'dinner bell.wav', { type: 'audio/wav' })
    const { text } = await openai.audio.transcriptions.create(order(file))
    t.equal(text, HEARD.text)
    const [request] = llm.requests as [SeenRequest]
    t.equal(request.path, '/v1/audio/transcriptions')
    const form = await formOf(request)
    t.equal(form.get('model'), REAL_MODEL)
    t.equal(form.get('language'), 'en')
    t.strictSame(await filesOf(request, 'file'), [{ name: 'dinner bell.wav', type: 'audio/wav', bytes: sound }])
  })
}

t.test('audio.transcriptions.create: a file that is streamed arrives intact', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(HEARD))
  const pieces = Readable.from([SOUND.subarray(0, 10), SOUND.subarray(10, 200_000), SOUND.subarray(200_000)])
  await openai.audio.transcriptions.create({ model: MODEL, file: toStreamingFile(pieces, 'bell.wav') })
  t.equal((await formOf(llm.requests[0]!)).get('model'), REAL_MODEL)
  t.strictSame((await filesOf(llm.requests[0]!, 'file'))[0]?.bytes, SOUND)
})

t.test('audio.transcriptions.create: where a large file stands before the model, a header says it', async (t) => {
  const { openai, url, code, llm } = await openClient(t, answerJson(HEARD))
  const bobs = await startFakeLlm(t, answerJson({ text: 'Bob heard it' }))
  await join(url, code, { id: 'bob', nickname: 'Bob', model: 'whisper', endpoint: bobs.url })
  const file = await toFile(SOUND, 'bell.wav')
  for (let time = 0; time < 3; time++) {
    const headers = { 'x-potluck-model': 'whisper' }
    const { text } = await openai.audio.transcriptions.create({ file, model: 'whisper' }, { headers })
    t.equal(text, 'Bob heard it')
  }
  t.equal(llm.requests.length, 0)
  t.strictSame((await filesOf(bobs.requests[0]!, 'file'))[0]?.bytes, SOUND)
})

const SAID = [
  { type: 'transcript.text.delta', delta: 'Dinner' },
  { type: 'transcript.text.delta', delta: ' is ready' },
  { type: 'transcript.text.done', text: 'Dinner is ready' },
]

/** How such a stream may end: without `[DONE]`, and the connection may be cut behind its own last event. */
for (const [name, answerer] of Object.entries({ ended: answerFrames, 'cut behind its end': answerCut })) {
  t.test(`audio.transcriptions.create streams (${name})`, async (t) => {
    const { openai } = await openClient(t, answerer(EVENTS, SAID.map(dataFrame)))
    const file = await toFile(SOUND, 'bell.wav')
    const stream = await openai.audio.transcriptions.create({ model: MODEL, file, stream: true })
    t.strictSame(await readStream(stream), { parts: SAID })
  })
}

t.test('audio.transcriptions.create: a stream that breaks raises, without its end', async (t) => {
  const { openai, llm } = await openClient(t, answerCut(EVENTS, SAID.slice(0, 2).map(dataFrame)))
  const file = await toFile(SOUND, 'bell.wav')
  const stream = await openai.audio.transcriptions.create({ model: MODEL, file, stream: true })
  const { parts, error } = await readStream(stream)
  t.strictSame(parts, SAID.slice(0, 2))
  t.match((error as Error).message, 'Alice (alice) broke off')
  t.equal(llm.requests.length, 1)
})

t.test('audio.translations.create: the same', async (t) => {
  const { openai, llm } = await openClient(t, answerJson({ text: 'Dinner is ready' }))
  const { text } = await openai.audio.translations.create({ model: MODEL, file: await toFile(SOUND, 'bell.wav') })
  t.equal(text, 'Dinner is ready')
  t.equal(llm.requests[0]!.path, '/v1/audio/translations')
  t.equal((await formOf(llm.requests[0]!)).get('model'), REAL_MODEL)
  t.strictSame((await filesOf(llm.requests[0]!, 'file'))[0]?.bytes, SOUND)
})

t.test('audio.transcriptions.create: an unknown model is a NotFoundError, and nobody is asked', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(HEARD))
  const coming = openai.audio.transcriptions.create({ model: 'whisper-9', file: await toFile(SOUND, 'bell.wav') })
  t.match(await failureOf(coming, OpenAI.NotFoundError), { code: 'model_not_found', param: 'model' })
  t.equal(llm.requests.length, 0)
})

t.test('audio.transcriptions.create: an error of the participant comes in its words', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(openaiError('no voice in it', 'invalid_request_error'), 400))
  const coming = openai.audio.transcriptions.create({ model: MODEL, file: await toFile(SOUND, 'bell.wav') })
  t.match((await failureOf(coming, OpenAI.BadRequestError)).message, 'no voice in it')
  t.equal(llm.requests.length, 1)
})

t.test('audio.transcriptions.create: aborted, it ends at the participant', async (t) => {
  const { next, ...kitchen } = await openKitchenByHand(t)
  const abort = new AbortController()
  const file = await toFile(SOUND, 'bell.wav')
  const coming = clientOf(kitchen).audio.transcriptions.create({ model: MODEL, file }, { signal: abort.signal })
  const failing = failureOf(coming, OpenAI.APIUserAbortError)
  const order = await next()
  abort.abort()
  await failing
  await isLeft(t, order)
})

const SPEECH = { model: MODEL, input: 'Dinner is ready', voice: 'alloy' as const }

t.test('audio.speech.create: the bytes of the sound come intact', async (t) => {
  const { openai, llm } = await openClient(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg' })
    response.write(SOUND.subarray(0, 1000))
    response.end(SOUND.subarray(1000))
  })
  const answer = await openai.audio.speech.create(SPEECH)
  t.equal(answer.headers.get('content-type'), 'audio/mpeg')
  t.ok(Buffer.from(await answer.arrayBuffer()).equals(SOUND))
  t.strictSame(bodyOf(llm.requests[0]!), { ...SPEECH, model: REAL_MODEL })
})

t.test('audio.speech.create: sound that breaks off raises', async (t) => {
  const { openai, llm } = await openClient(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'audio/mpeg' })
    response.write(SOUND.subarray(0, 1000), () => response.destroy())
  })
  const answer = await openai.audio.speech.create(SPEECH)
  await failureOf(answer.arrayBuffer(), TypeError)
  t.equal(llm.requests.length, 1)
})

t.test('audio.speech.create: sound that the client leaves ends at the participant', async (t) => {
  const { next, ...kitchen } = await openKitchenByHand(t)
  const coming = clientOf(kitchen).audio.speech.create(SPEECH)
  const order = await next()
  order.response.writeHead(200, { 'content-type': 'audio/mpeg' })
  order.response.write(SOUND.subarray(0, 1000))
  const reader = (await coming).body!.getReader()
  await reader.read()
  await reader.cancel()
  await isLeft(t, order)
})

t.test('audio.speech.create: an error of the participant comes in its words', async (t) => {
  const { openai } = await openClient(t, answerJson(openaiError('no such voice', 'invalid_request_error'), 400))
  t.match((await failureOf(openai.audio.speech.create(SPEECH), OpenAI.BadRequestError)).message, 'no such voice')
})

const PAINTED = { created: 1_700_000_000, data: [{ b64_json: PICTURE.toString('base64') }] }

t.test('images.generate: what was painted comes intact', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(PAINTED))
  const request = { model: MODEL, prompt: 'a bowl of rice', size: '1024x1024' as const }
  const { data } = await openai.images.generate(request)
  t.ok(Buffer.from(data?.[0]?.b64_json ?? '', 'base64').equals(PICTURE))
  t.equal(llm.requests[0]!.path, '/v1/images/generations')
  t.strictSame(bodyOf(llm.requests[0]!), { ...request, model: REAL_MODEL })
})

t.test('images.generate: a participant that cannot paint says so', async (t) => {
  const { openai } = await openClient(t, answerJson(openaiError('no brush here', 'not_supported_error'), 501))
  const failure = await failureOf(openai.images.generate({ model: MODEL, prompt: 'rice' }), OpenAI.APIError)
  t.match(failure, { status: 501, type: 'not_supported_error', message: /no brush here/ })
})

t.test('images.generate: aborted, it ends at the participant', async (t) => {
  const { next, ...kitchen } = await openKitchenByHand(t)
  const abort = new AbortController()
  const coming = clientOf(kitchen).images.generate({ model: MODEL, prompt: 'rice' }, { signal: abort.signal })
  const failing = failureOf(coming, OpenAI.APIUserAbortError)
  const order = await next()
  abort.abort()
  await failing
  await isLeft(t, order)
})

t.test('images.edit: all of the pictures and the mask arrive intact', async (t) => {
  const { openai, llm } = await openClient(t, answerJson(PAINTED))
  const image = [await toFile(PICTURE, 'bowl.png', { type: 'image/png' }), await toFile(SOUND, 'rice.png')]
  const mask = await toFile(Buffer.from('\r\n--\r\n'), 'mask.png')
  const { data } = await openai.images.edit({ model: MODEL, prompt: 'more rice', image, mask })
  t.ok(Buffer.from(data?.[0]?.b64_json ?? '', 'base64').equals(PICTURE))
  const [request] = llm.requests as [SeenRequest]
  t.equal(request.path, '/v1/images/edits')
  const form = await formOf(request)
  t.equal(form.get('model'), REAL_MODEL)
  t.equal(form.get('prompt'), 'more rice')
  t.strictSame(
    (await filesOf(request, 'image[]')).map(({ bytes }) => bytes),
    [PICTURE, SOUND],
  )
  t.strictSame((await filesOf(request, 'mask'))[0]?.bytes, Buffer.from('\r\n--\r\n'))
})
