import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import t from 'tap'
import { MAX_PEEK_BYTES, peek, type Upload, UploadBroken } from '../../plugins/ollama-proxy/upload.ts'
import { SEED } from '../support/property.ts'

const FORM = 'multipart/form-data; boundary=b'
const NO_LIMIT = 1024 * 1024 * 1024
const [NAME, REST] = ['--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n', '\r\n--b--\r\n']
const FILE = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'

/** These bytes in pieces of that size. */
function uploadOf(body: string | Buffer, { contentType = FORM, size = 1000, isChunked = false } = {}): Upload {
  const bytes = Buffer.from(body)
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  )
  const announced = isChunked ? {} : { contentLength: bytes.length }
  return { stream: Readable.from(pieces, { objectMode: false }), contentType, ...announced }
}

/** What goes to a participant that calls the model so. */
async function sentAs(model: string, upload: Upload, limitBytes = NO_LIMIT) {
  const peeked = await peek(upload, limitBytes)
  const { body, ...announced } = peeked.bodyWith(model)
  const bytes = await buffer(body)
  return { read: peeked.model, text: bytes.toString(), bytes, ...announced }
}

t.test('the model’s name is replaced, and the announced length with it', async (t) => {
  for (const model of ['m', 'a much longer name', 'модель', 'same9char']) {
    const sent = await sentAs(model, uploadOf(`${NAME}whisper-1${REST}`))
    t.equal(sent.text, `${NAME}${model}${REST}`)
    t.equal(sent.read, 'whisper-1')
    t.equal(sent.contentLength, sent.bytes.length)
  }
})

t.test('of a body in chunks no length is announced', async (t) => {
  const sent = await sentAs('m', uploadOf(`${NAME}whisper-1${REST}`, { isChunked: true }))
  t.equal(sent.text, `${NAME}m${REST}`)
  t.notOk('contentLength' in sent)
})

t.test('without a name nothing is changed', async (t) => {
  for (const text of [`${FILE}sound${REST}`, '', 'no form at all', `${NAME}cut off`]) {
    const sent = await sentAs('m', uploadOf(text))
    t.strictSame([sent.text, sent.read, sent.contentLength], [text, undefined, text.length], text.slice(0, 20))
  }
})

t.test('what is no form is not looked into', async (t) => {
  for (const contentType of ['audio/mpeg', 'multipart/mixed; boundary=b', 'multipart/form-data', '']) {
    const text = `${NAME}whisper-1${REST}`
    const sent = await sentAs('m', uploadOf(text, { contentType }))
    t.strictSame([sent.text, sent.read], [text, undefined], contentType)
  }
})

/** A form whose model is known with its byte of that number, in this many bytes. */
function formUpTo(bytes: number, behind = 0): string {
  const [before, known] = [`${FILE}`, `\r\n${NAME}whisper-1\r\n--b--`]
  return `${before}${'x'.repeat(bytes - before.length - known.length)}${known}\r\n${'y'.repeat(behind)}`
}

for (const [what, sizes] of [
  ['one piece', 1_000_000],
  ['pieces of 64 KiB', 65_536],
  ['small pieces', 997],
] as const) {
  t.test(`as much is looked at and no more, in ${what}`, async (t) => {
    for (const behind of [0, 100_000]) {
      const inside = await sentAs('m', uploadOf(formUpTo(MAX_PEEK_BYTES, behind), { size: sizes }))
      t.equal(inside.read, 'whisper-1', `the last byte within, ${behind} behind`)
      t.ok(inside.text.includes('\r\n\r\nm\r\n--b--'))
      const text = formUpTo(MAX_PEEK_BYTES + 1, behind)
      const outside = await sentAs('m', uploadOf(text, { size: sizes }))
      t.equal(outside.read, undefined, `one byte behind, ${behind} behind`)
      t.ok(outside.text === text, 'and every byte goes on')
    }
  })
}

t.test('a body is passed on in whatever pieces it comes', async (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 })
  const property = fc.asyncProperty(sizes, fc.nat(150_000), fc.boolean(), async (lengths, fileBytes, isFirst) => {
    const file = `${FILE}${'z'.repeat(fileBytes)}\r\n`
    const [before, behind] = isFirst ? ['', `\r\n${file}--b--`] : [file, REST]
    const text = `${before}${NAME}whisper-1${behind}`
    const { stream, ...upload } = uploadOf(text)
    const sent = await sentAs('m', {
      ...upload,
      stream: Readable.from(cut(await buffer(stream), lengths), { objectMode: false }),
    })
    const isSeen = `${before}${NAME}whisper-1\r\n--b\r\n`.length <= MAX_PEEK_BYTES
    assert.ok(sent.text === (isSeen ? `${before}${NAME}m${behind}` : text))
    assert.equal(sent.contentLength, sent.bytes.length)
  })
  t.comment(`pieces: 150 cases, FC_SEED=${SEED}`)
  const result = await fc.check(property, { seed: SEED, numRuns: 150 })
  t.notOk(result.failed, fc.defaultReportMessage(result as never) ?? 'pieces')
})

function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] as number
    yield bytes.subarray(at, at + length)
    at += length
  }
}

t.test('a body that is announced too long is not read at all', async (t) => {
  let isRead = false
  const stream = new Readable({
    read() {
      isRead = true
    },
  })
  await t.rejects(peek({ stream, contentType: FORM, contentLength: 101 }, 100), { code: 'PTL_BODY_TOO_LARGE' })
  t.notOk(isRead)
})

t.test('a body that becomes too long fails where it does', async (t) => {
  const tooLarge = { code: 'PTL_BODY_TOO_LARGE', statusCode: 413, message: /100 bytes/ }
  await t.rejects(
    sentAs('m', uploadOf('x'.repeat(101), { contentType: 'audio/mpeg', isChunked: true, size: 10 }), 100),
    tooLarge,
  )
  await t.rejects(sentAs('m', uploadOf(`${FILE}${'x'.repeat(100)}`, { isChunked: true, size: 10 }), 100), tooLarge)
  await t.resolves(
    sentAs('m', uploadOf('x'.repeat(100), { contentType: 'audio/mpeg', isChunked: true, size: 10 }), 100),
  )
})

t.test('the limit is for what the client sends, not for what becomes of it', async (t) => {
  const text = `${NAME}m${REST}`
  const sent = await sentAs('a much longer name', uploadOf(text, { isChunked: true }), text.length)
  t.equal(sent.text, `${NAME}a much longer name${REST}`)
})

t.test('a field that is there twice is refused', async (t) => {
  await t.rejects(peek(uploadOf(`${NAME}a\r\n${NAME}b${REST}`), NO_LIMIT), {
    code: 'PTL_INVALID_FIELD',
    statusCode: 400,
  })
})

/** Fails behind these pieces. */
function brokenBehind(...pieces: string[]): Readable {
  return Readable.from(
    (async function* () {
      for (const piece of pieces) yield Buffer.from(piece)
      throw new Error('aborted')
    })(),
    { objectMode: false },
  )
}

t.test('a client that goes away is told from other failures', async (t) => {
  const whyNot = (promise: Promise<unknown>) => promise.catch((error: unknown) => error)
  const inPeek = await whyNot(peek({ stream: brokenBehind(FILE), contentType: FORM }, NO_LIMIT))
  t.ok(inPeek instanceof UploadBroken, 'while its model is looked for')
  for (const [stream, contentType] of [
    [brokenBehind(`${NAME}a${REST}`), FORM],
    [brokenBehind('sound'), 'audio/mpeg'],
  ] as const) {
    const { bodyWith } = await peek({ stream, contentType }, NO_LIMIT)
    t.ok((await whyNot(buffer(bodyWith('m').body))) instanceof UploadBroken, contentType)
  }
})

t.test('no more is read than is needed, and the rest only as it is taken', async (t) => {
  let pulled = 0
  const pieces = [`${NAME}a\r\n${FILE}`, ...Array(50).fill('x'.repeat(1000))]
  const stream = new Readable({
    highWaterMark: 1,
    read() {
      this.push(Buffer.from(pieces[pulled] ?? ''))
      pulled += 1
    },
  })
  const { bodyWith } = await peek({ stream, contentType: FORM }, NO_LIMIT)
  t.ok(pulled <= 3, `${pulled} pieces for the name`)
  const taken = bodyWith('m').body[Symbol.asyncIterator]()
  for (let count = 0; count < 10; count++) await taken.next()
  t.ok(pulled <= 13, `${pulled} pieces for ten`)
})
