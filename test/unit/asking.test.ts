import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { readRequest } from '../../plugins/ollama-proxy/asking.ts'
import { PROTOCOLS } from '../../plugins/ollama-proxy/protocols/index.ts'
import type { Endpoint, Protocol } from '../../plugins/ollama-proxy/protocols/protocol.ts'
import { FULL_CONFIG } from '../support/protocol-units.ts'

interface Served {
  protocol: Protocol
  endpoint: Endpoint
}

const SERVED: Served[] = PROTOCOLS.flatMap((protocol) => protocol.endpoints.map((endpoint) => ({ protocol, endpoint })))

/** What is served by that method at that path. */
function at(path: string, method = 'POST'): Served {
  return SERVED.find(({ endpoint }) => endpoint.path === path && endpoint.method === method) as Served
}

const read = async (served: Served, body: string, headers = {}) =>
  readRequest({ ...served, headers, body: Buffer.from(body), limitBytes: 1000 })

/** What goes upstream where the model is called `real` and everything has a default. */
async function sentFor(served: Served, body: string): Promise<string> {
  const { body: sent } = (await read(served, body)).outgoingFor('real', FULL_CONFIG)
  return String(sent)
}

const generating = SERVED.filter(({ endpoint }) => endpoint.manages !== true && endpoint.body !== 'none')

t.test('the model is read and replaced on every path that has one', async (t) => {
  for (const served of generating) {
    const asking = await read(served, '{"model":"a","x":{"model":"b"}}')
    t.equal(asking.model, 'a', served.endpoint.path)
    t.equal(String(asking.outgoingFor('real', {}).body), '{"model":"real","x":{"model":"b"}}', served.endpoint.path)
  }
})

t.test('no model, null and an empty one mean anybody', async (t) => {
  for (const served of generating) {
    for (const body of ['{}', '{"model":null}', '{"model":""}', '{"model":"*"}']) {
      t.equal((await read(served, body)).model, '*', `${served.endpoint.path} ${body}`)
      t.equal(
        await sentFor({ ...served, protocol: { ...served.protocol, defaultsFor: () => new Map() } }, body),
        '{"model":"real"}',
      )
    }
  }
})

t.test('older Ollama clients say name', async (t) => {
  const served = at('/api/generate')
  t.match(await read(served, '{"name":"a"}'), { model: 'a' })
  t.match(await read(served, '{"model":"","name":"a"}'), { model: 'a' })
  t.match(await read(served, '{"name":"b","model":"a"}'), { model: 'a' }, 'what newer ones say comes first')
  t.equal(
    String((await read(served, '{"model":"","name":"a"}')).outgoingFor('real', {}).body),
    '{"model":"","name":"real"}',
  )
})

t.test('whether an answer is streamed follows the protocol', async (t) => {
  for (const [path, bySilence] of [
    ['/v1/chat/completions', false],
    ['/v1/messages', false],
    ['/v1/responses', false],
    ['/api/chat', true],
    ['/api/generate', true],
    ['/api/embed', false],
  ] as const) {
    const streams = async (body: string) => (await read(at(path), body)).stream
    t.equal(await streams('{}'), bySilence, path)
    t.equal(await streams('{"stream":true}'), true, path)
    t.equal(await streams('{"stream":false}'), false, path)
    t.equal(await streams('{"x":{"stream":true},"stream":false,"y":"\\"stream\\":true"}'), false, path)
  }
})

t.test('defaults are added where something is generated', async (t) => {
  t.match(JSON.parse(await sentFor(at('/v1/chat/completions'), '{}')), { model: 'real', ...FULL_CONFIG })
  t.match(JSON.parse(await sentFor(at('/api/chat'), '{"options":{"seed":1}}')), {
    options: { num_predict: 100, seed: 1 },
  })
  t.equal(await sentFor(at('/api/embed'), '{}'), '{"model":"real"}')
})

t.test('a field beside Ollama’s options is none of them', async (t) => {
  t.match(JSON.parse(await sentFor(at('/api/chat'), '{"seed":1}')), { seed: 1, options: { seed: FULL_CONFIG.seed } })
})

t.test('a count of tokens gets no defaults: strict servers refuse them there', async (t) => {
  t.equal(await sentFor(at('/v1/messages/count_tokens'), '{"messages":[]}'), '{"model":"real","messages":[]}')
  t.match(JSON.parse(await sentFor(at('/v1/messages'), '{}')), { max_tokens: 100 })
})

t.test('options that can’t be read are refused before anybody is chosen', async (t) => {
  const options = JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`k${index}`, index])))
  for (const path of ['/api/chat', '/api/generate']) {
    await t.rejects(read(at(path), `{"options":${options}}`), { code: 'PTL_INVALID_JSON', statusCode: 400 }, path)
  }
})

t.test('what changes models is not looked into', async (t) => {
  for (const served of SERVED.filter(({ endpoint }) => endpoint.manages === true)) {
    const asking = await read(served, '{"model":7, no JSON at all')
    t.equal(String(asking.outgoingFor('real', FULL_CONFIG).body), '{"model":7, no JSON at all', served.endpoint.path)
  }
})

t.test('where no body is expected none is sent', async (t) => {
  for (const served of SERVED.filter(({ endpoint }) => endpoint.body === 'none')) {
    t.equal((await read(served, '{"model":')).outgoingFor('real', FULL_CONFIG).body, null, served.endpoint.path)
  }
})

t.test('what an earlier request made is read where this one goes on from there', async (t) => {
  const continues = async (body: string) => (await read(at('/v1/responses'), body)).continues
  t.equal(await continues('{"previous_response_id":"resp_1"}'), 'resp_1')
  for (const body of [
    '{}',
    '{"previous_response_id":null}',
    '{"previous_response_id":7}',
    '{"x":{"previous_response_id":"y"}}',
  ]) {
    t.equal(await continues(body), undefined, body)
  }
  t.notOk('continues' in (await read(at('/v1/chat/completions'), '{"previous_response_id":"resp_1"}')))
})

/** An upload of this form, or of raw bytes, with these headers beside it. */
async function readUpload(form: string | undefined, headers = {}) {
  const bytes = Buffer.from(
    form === undefined ? 'sound' : `--b\r\ncontent-disposition: form-data; name=model\r\n\r\n${form}\r\n--b--\r\n`,
  )
  const contentType = form === undefined ? 'audio/mpeg' : 'multipart/form-data; boundary=b'
  const body = { stream: Readable.from([bytes]), contentType, contentLength: bytes.length }
  return readRequest({ ...at('/v1/audio/transcriptions'), headers, body, limitBytes: 1000 })
}

t.test('the model of an upload is its form’s, else the header’s, else anybody’s', async (t) => {
  const beside = { 'x-potluck-model': 'beside' }
  t.equal((await readUpload('inside', beside)).model, 'inside')
  t.equal((await readUpload(undefined, beside)).model, 'beside')
  t.equal((await readUpload(undefined)).model, '*')
  t.equal((await readUpload('')).model, '*')
  t.equal((await readUpload('', beside)).model, 'beside')
})

t.test('a header’s name may have any letters, as Node reads them', async (t) => {
  const name = 'модель é'
  const latin1 = Buffer.from(name).toString('latin1')
  t.equal((await readUpload(undefined, { 'x-potluck-model': latin1 })).model, name)
  t.equal(
    (await readUpload(undefined, { 'x-potluck-model': 'mod\u00e9l' })).model,
    'mod\u00e9l',
    'Latin-1 stays as it is',
  )
})

t.test('an unusable name is told by where it stands', async (t) => {
  for (const name of ['a\u0000b', 'x'.repeat(201)]) {
    await t.rejects(readUpload(name), { code: 'PTL_INVALID_FIELD', statusCode: 400, message: /^model must be/ })
    await t.rejects(readUpload(undefined, { 'x-potluck-model': name }), { message: /^x-potluck-model must be/ })
  }
})

t.test('an upload goes on as what it is, with its length', async (t) => {
  const { body, headers } = (await readUpload('inside')).outgoingFor('real', FULL_CONFIG)
  const bytes = await buffer(body as AsyncIterable<Buffer>)
  t.strictSame(headers, { 'content-type': 'multipart/form-data; boundary=b', 'content-length': String(bytes.length) })
})
