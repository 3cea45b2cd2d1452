import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { boundaryOf, FieldFinder, isMultipart } from '../../plugins/ollama-proxy/multipart.ts'
import { holds } from '../support/property.ts'

const CRLF = '\r\n'

/** The value of `model` in a form with this boundary; undefined where it is not found. */
function modelIn(form: string, boundary = 'b'): string | undefined {
  const bytes = Buffer.from(form)
  const span = new FieldFinder(boundary, 'model').look(bytes)
  return span === undefined ? undefined : bytes.toString('utf8', span.start, span.end)
}

function part(disposition: string, value: string, boundary = 'b', more = ''): string {
  return `--${boundary}${CRLF}Content-Disposition: ${disposition}${CRLF}${more}${CRLF}${value}${CRLF}`
}

const FIELD = part('form-data; name="model"', 'whisper-1')
const FILE = part('form-data; name="file"; filename="a.mp3"', 'sound', 'b', `Content-Type: audio/mpeg${CRLF}`)
const END = `--b--${CRLF}`

t.test('the boundary is read from the content type, quoted or bare', async (t) => {
  const types: Record<string, string | undefined> = {
    'multipart/form-data; boundary=abc': 'abc',
    'multipart/form-data;boundary=abc': 'abc',
    'multipart/form-data; boundary="abc"': 'abc',
    'multipart/form-data; boundary="a b:c,(d)?"': 'a b:c,(d)?',
    'Multipart/Form-Data; Charset=utf-8; BOUNDARY=----WebKitFormBoundary7MA4YWxkTrZu0gW':
      '----WebKitFormBoundary7MA4YWxkTrZu0gW',
    "multipart/form-data; boundary='()+_,-./:=?; charset=utf-8": "'()+_,-./:=?",
    [`multipart/form-data; boundary=${'x'.repeat(70)}`]: 'x'.repeat(70),
    [`multipart/form-data; boundary=${'x'.repeat(1000)}`]: undefined,
    'multipart/form-data; xboundary=abc': undefined,
    'multipart/form-data; boundary=': undefined,
    'multipart/form-data; boundary=""': undefined,
    'multipart/form-data': undefined,
  }
  for (const [type, boundary] of Object.entries(types)) t.equal(boundaryOf(type), boundary, type.slice(0, 80))
})

t.test('a form is a form whatever stands behind its type, and nothing else is', async (t) => {
  for (const type of ['multipart/form-data', ' multipart/form-data ; x=y', 'MULTIPART/FORM-DATA;boundary=b']) {
    t.ok(isMultipart(type), type)
  }
  for (const type of [
    'multipart/mixed; boundary=b',
    'multipart/form-datax',
    'audio/mpeg',
    '',
    'x/multipart/form-data',
  ]) {
    t.notOk(isMultipart(type), type)
  }
})

t.test('a field is found in front of a file, behind it and alone', async (t) => {
  for (const form of [`${FIELD}${FILE}${END}`, `${FILE}${FIELD}${END}`, `${FIELD}${END}`]) {
    t.equal(modelIn(form), 'whisper-1', JSON.stringify(form.slice(0, 60)))
  }
})

t.test('a preamble is passed over, and so is what stands behind the end', async (t) => {
  t.equal(modelIn(`This is a form.${CRLF}${CRLF}--bogus${CRLF}${FIELD}${END}`), 'whisper-1')
  t.equal(modelIn(`${CRLF}${FIELD}${END}`), 'whisper-1')
  t.equal(modelIn(`${FILE}${END}${FIELD}${END}`), undefined)
})

t.test('the name may be written as senders write it', async (t) => {
  const written = [
    'form-data; name="model"',
    'form-data; name=model',
    'form-data;name="model"',
    'form-data ; NAME = "model" ; charset=utf-8;',
    'FORM-DATA; x="; name=other"; name="model"',
    `form-data;${CRLF} name="model"`,
    'form-data; x="\\"; name=other; y=\\""; name=model',
  ]
  for (const disposition of written) t.equal(modelIn(`${part(disposition, 'a')}${END}`), 'a', disposition)
})

t.test('other names and files are not it', async (t) => {
  const others = [
    'form-data; name="Model"',
    'form-data; name="models"',
    'form-data; name=" model"',
    'form-data; name="x"; y="; name=model"',
    'form-data; name="x; name=model"',
    'form-data; name="model"; filename="x"',
    'form-data; name="model"; filename=""',
    'form-data; filename=x; name="model"',
    `form-data; name="model"; FileName*=utf-8''x`,
    'form-data; filename="model"',
    'form-data; filename="; name=model"; name="file"',
    'form-data; name="model" filename="x"',
    'form-data; name="model',
    'attachment; name="model"',
    'form-data',
    'form-datax; name="model"',
  ]
  for (const disposition of others) t.equal(modelIn(`${part(disposition, 'a')}${END}`), undefined, disposition)
})

t.test('the head may hold other lines, and its name any case', async (t) => {
  const head = `content-type: text/plain${CRLF}CONTENT-disposition : form-data; name="model"${CRLF}x: y`
  t.equal(modelIn(`--b${CRLF}${head}${CRLF}${CRLF}a${CRLF}${END}`), 'a')
  t.equal(modelIn(`--b${CRLF}x-content-disposition: form-data; name="model"${CRLF}${CRLF}a${CRLF}${END}`), undefined)
  t.equal(
    modelIn(`--b${CRLF}${CRLF}content-disposition: form-data; name="model"${CRLF}${END}`),
    undefined,
    'no head at all',
  )
})

t.test('a head longer than any is no field’s', async (t) => {
  const long = `x: ${'y'.repeat(8 * 1024)}${CRLF}`
  t.equal(modelIn(`${part('form-data; name="model"', 'a', 'b', long)}${END}`), undefined)
  t.equal(modelIn(`${part('form-data; name="x"', 'a', 'b', long)}${FIELD}${END}`), 'whisper-1', 'the next one is found')
})

t.test('a part whose head never ends hides none that follows', async (t) => {
  t.equal(modelIn(`--b${CRLF}broken${CRLF}${FIELD}${END}`), 'whisper-1')
})

t.test('a value may be empty, of several lines, of any letters', async (t) => {
  for (const value of ['', ' ', 'a\r\nb', 'модель 😀', '\r\n', ' --b', '-', '\r\n--', '\n--b--']) {
    t.equal(modelIn(`${part('form-data; name="model"', value)}${END}`), value, JSON.stringify(value))
  }
})

t.test('a part without any body has no value', async (t) => {
  t.equal(modelIn(`--b${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}--b--`), undefined)
})

t.test('what looks like a part within a file is none', async (t) => {
  const decoys = [
    FIELD.replace('--b', '--c'),
    FIELD,
    `\n${FIELD}`,
    `\r${FIELD}`,
    `${CRLF}--bx${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}decoy${CRLF}--bx`,
    `${CRLF}--b-${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}decoy`,
    `${CRLF}--b \r x`,
    `${CRLF}--b${' '.repeat(1000)}${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}decoy`,
  ]
  for (const decoy of decoys) {
    const file = part('form-data; name="file"; filename="x"', `sound${decoy}`)
    t.equal(modelIn(`${file}${FIELD}${END}`), 'whisper-1', JSON.stringify(decoy))
  }
})

t.test('a value that a longer boundary stands in goes on', async (t) => {
  t.equal(modelIn(`${part('form-data; name="model"', `a${CRLF}--bx`)}${END}`), `a${CRLF}--bx`)
})

t.test('one boundary that begins like another is another', async (t) => {
  const inner = `--b-b${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}inner${CRLF}--b-b--${CRLF}`
  const form = `${part('form-data; name="file"; filename="x"', `${CRLF}${inner}`)}${FIELD}${END}`
  t.equal(modelIn(form, 'b'), 'whisper-1')
  t.equal(modelIn(form, 'b-b'), 'inner')
})

t.test('spaces behind a boundary are its own', async (t) => {
  t.equal(modelIn(`--b \t ${CRLF}${FIELD.slice(5)}--b-- ${CRLF}`), 'whisper-1')
})

t.test('a field that is there twice is refused', async (t) => {
  const twice = { code: 'PTL_INVALID_FIELD', statusCode: 400, message: 'model must be there only once' }
  t.throws(() => modelIn(`${FIELD}${FILE}${FIELD}${END}`), twice)
  t.throws(() => modelIn(`${FIELD}${part('form-data; name=model', '')}${END}`), twice)
  t.doesNotThrow(() => modelIn(`${FIELD}${part('form-data; name="model"; filename="x"', 'a')}${END}`))
})

t.test('a value that is cut off is not known', async (t) => {
  const form = `${FILE}${FIELD}${END}`
  const known = form.indexOf(`whisper-1${CRLF}--b--`) + `whisper-1${CRLF}--b--`.length
  for (let length = 0; length < form.length; length++) {
    t.equal(modelIn(form.slice(0, length)), length < known ? undefined : 'whisper-1', `${length} bytes`)
  }
})

t.test('bytes that are no form have no field', async (t) => {
  for (const text of [
    '',
    '-',
    '--',
    '--b',
    `--b${CRLF}`,
    '--b--',
    CRLF,
    'x'.repeat(1000),
    '--b\n\n--b\n',
    '\0'.repeat(100),
  ]) {
    t.equal(modelIn(text), undefined, JSON.stringify(text.slice(0, 20)))
  }
})

/** What might be taken for something else, in whichever place. */
const traps = fc.constantFrom(
  'x',
  '\r',
  '\n',
  CRLF,
  '-',
  '--',
  `${CRLF}--`,
  `${CRLF}--bo`,
  `${CRLF}--boxx${CRLF}`,
  `${CRLF}--box-`,
  '--box',
  'name="model"',
  `Content-Disposition: form-data; name="model"${CRLF}${CRLF}`,
  '\0',
  'é',
)
const contents = fc.array(traps, { maxLength: 12 }).map((list) => list.join(''))

const fields = fc.record({
  disposition: fc.constantFrom(
    'form-data; name="file"; filename="x"',
    'form-data; name="language"',
    'form-data; name=models',
  ),
  value: contents,
})

interface Form {
  bytes: Buffer
  start: number
  value: string
}

/** Forms with one model among other fields, and where it stands. */
const forms = fc
  .tuple(fc.array(fields, { maxLength: 4 }), fc.array(fields, { maxLength: 2 }), contents, contents)
  .map(([before, after, preamble, value]): Form => {
    const write = (all: typeof before) => all.map((one) => part(one.disposition, unbroken(one.value), 'box')).join('')
    const opening = preamble === '' ? '' : `${unbroken(preamble)}${CRLF}`
    const front = `${opening}${write(before)}--box${CRLF}Content-Disposition: form-data; name="model"${CRLF}${CRLF}`
    const text = `${front}${unbroken(value)}${CRLF}${write(after)}--box--${CRLF}`
    return { bytes: Buffer.from(text), start: Buffer.byteLength(front), value: unbroken(value) }
  })

/** The one thing that a value can't hold is a delimiter of its own form; a preamble can't begin with one either. */
function unbroken(text: string): string {
  return `_${text}`.replace(/\r\n--box(?=[ \t]*(?:\r\n|$|--|-$|\r$))/g, '\r\n--bo')
}

t.test('the field is found wherever it stands, whatever stands around it', async (t) => {
  const property = fc.property(forms, ({ bytes, start, value }) => {
    assert.deepEqual(new FieldFinder('box', 'model').look(bytes), { start, end: start + Buffer.byteLength(value) })
  })
  holds(t, 'forms', property, 3000)
})

t.test('it is the same in whatever pieces the form comes', async (t) => {
  const property = fc.property(
    forms,
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    ({ bytes, ...form }, sizes) => {
      const finder = new FieldFinder('box', 'model')
      const end = form.start + Buffer.byteLength(form.value)
      for (let length = 0, turn = 0; length < bytes.length; turn++) {
        length = Math.min(bytes.length, length + (sizes[turn % sizes.length] as number))
        const span = finder.look(bytes.subarray(0, length))
        // Its end is known once what stands behind it is.
        if (span !== undefined) assert.ok(length >= end + '\r\n--box\r\n'.length)
        if (span !== undefined || length >= end + '\r\n--box\r\n'.length)
          assert.deepEqual(span, { start: form.start, end })
      }
    },
  )
  holds(t, 'pieces', property, 3000)
})
