import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { PROTOCOLS } from '../../plugins/ollama-proxy/protocols/index.ts'
import { send as post } from '../support/chat.ts'
import { readError, shapeOf } from '../support/error-shapes.ts'
import { openRoom, startHub } from '../support/hub.ts'
import { type Kitchen, openKitchen } from '../support/kitchen.ts'
import { send } from '../support/wire.ts'

/** Where requests go whose model the hub reads in their JSON. */
const PATHS = PROTOCOLS.flatMap(({ endpoints }) => endpoints)
  .filter(({ method, body, manages }) => method === 'POST' && body !== 'none' && manages !== true)
  .map(({ path }) => path)

const ALL_PATHS = PROTOCOLS.flatMap(({ endpoints }) => endpoints)

const at = ({ url, code }: Pick<Kitchen, 'url' | 'code'>, path: string) => `${url}/rooms/${code}${path}`

const TYPES: Record<string, string> = { openai: 'invalid_request_error', anthropic: 'invalid_request_error' }

/** On every path each of these is refused, in the path's own words' shape, with that sentence, and nobody is asked. */
async function refusesAll(
  t: Test,
  bodies: readonly string[],
  message: RegExp,
  options = {},
  status = 400,
): Promise<void> {
  const kitchen = await openKitchen(t, undefined, options)
  for (const path of PATHS) {
    for (const body of bodies) {
      const what = `${path} ${body.slice(0, 60)}`
      const answer = await post(t, at(kitchen, path), body)
      t.equal(answer.status, status, what)
      const told = readError(path, answer.text)
      t.match(told.message, message, what)
      if (status === 400 && shapeOf(path) !== 'ollama') t.equal(told.type, TYPES[shapeOf(path)], what)
    }
  }
  t.equal(kitchen.llm.requests.length, 0)
}

t.test('all paths are tried', async (t) => {
  t.ok(PATHS.length > 12)
  t.strictSame([...new Set(PATHS.map(shapeOf))].sort(), ['anthropic', 'ollama', 'openai'])
})

t.test('what is no JSON object is refused', async (t) => {
  const bodies = [
    ...['', ' ', '[]', '"model"', 'null', '7', '\uFEFF{}', '{}{}', '{} x', 'model=x', '--b\r\n'],
    ...["{'model':'x'}", '{model:"x"}', '{"model":}', '{"model":"x",}', '{"model":"x","n":01}', '{"model":"x"/**/}'],
  ]
  await refusesAll(t, bodies, /^The body is not valid JSON: ./)
})

t.test('so is what is cut off', async (t) => {
  const whole = '{"model":"x","messages":[{"content":"\\"}"}],"n":1.5}'
  const cuts = [1, 5, 10, 12, 13, 30, 38, 42, 48, whole.length - 1]
  await refusesAll(
    t,
    cuts.map((length) => whole.slice(0, length)),
    /^The body is not valid JSON: it ends /,
  )
})

t.test('a model that is no text is refused', async (t) => {
  const bodies = ['7', 'true', 'false', '[]', '{}', '["x"]', '{"model":"x"}', '-1e400'].map(
    (value) => `{"model":${value}}`,
  )
  await refusesAll(t, bodies, /^model must be a text of at most 200 characters without control characters$/)
})

t.test('so is one that no name can be', async (t) => {
  const bodies = ['"\\u0000"', '"a\\nb"', '"\\u009f"', `"${'x'.repeat(201)}"`, `"${'\\u0078'.repeat(201)}"`].map(
    (value) => `{"model":${value}}`,
  )
  await refusesAll(t, bodies, /^model must be a text of at most 200 characters/)
})

t.test('so is one that is there twice', async (t) => {
  const bodies = ['{"model":"x","model":"x"}', '{"model":null,"n":1,"model":"x"}', '{"mod\\u0065l":"x","model":"*"}']
  await refusesAll(t, bodies, /^model must be there only once$/)
})

// Servers written in Go take it for the same field.
t.test('so is one in other letters, beside the right one or alone', async (t) => {
  await refusesAll(
    t,
    ['{"model":"x","Model":"y"}', '{"MODEL":"x"}', '{"m\\u004fdel":"x"}'],
    /^model must be written in lower case$/,
  )
})

t.test('ten thousand levels are refused', async (t) => {
  const deep = 10_000
  const bodies = [
    `{"model":"x","a":${'['.repeat(deep)}${']'.repeat(deep)}}`,
    `${'{"a":'.repeat(deep)}1${'}'.repeat(deep)}`,
    `{"options":${'{"options":'.repeat(deep)}1${'}'.repeat(deep)}}`,
    `{"model":${'['.repeat(deep)}`,
  ]
  await refusesAll(t, bodies, /^The body is not valid JSON: it is nested deeper than 512 levels$/)
})

t.test('a thousand fields and more are refused', async (t) => {
  const many = Array.from({ length: 1001 }, (_, index) => `"k${index}":1`).join(',')
  await refusesAll(t, [`{${many}}`], /^The body is not valid JSON: it has more than 1000 fields$/)
})

t.test('options of a thousand fields and more are refused, and the hub goes on', async (t) => {
  const many = Array.from({ length: 1001 }, (_, index) => `"k${index}":1`).join(',')
  const kitchen = await openKitchen(t, undefined, { participant: { config: { temperature: 1 } } })
  for (const path of ['/api/chat', '/api/generate']) {
    const answer = await post(t, at(kitchen, path), `{"options":{${many}}}`)
    t.equal(answer.status, 400)
    t.match(readError(path, answer.text).message, /more than 1000 fields/)
    t.equal((await post(t, at(kitchen, path), '{}')).status, 200, 'and the next one is served')
  }
  t.equal(kitchen.llm.requests.length, 2)
})

t.test('what is too large is refused, with the limit', async (t) => {
  const hub = { inferenceBodyLimit: 2000 }
  await refusesAll(t, [`{"a":"${'x'.repeat(2000)}"}`], /^The body is larger than 2000 bytes$/, { hub }, 413)
})

t.test('Ollama’s older name of the field is held to the same', async (t) => {
  const kitchen = await openKitchen(t)
  const cases: [string, RegExp][] = [
    ['{"name":7}', /^name must be a text/],
    ['{"name":"x","name":"y"}', /^name must be there only once$/],
    ['{"model":"x","Name":"y"}', /^name must be written in lower case$/],
  ]
  for (const path of PATHS.filter((path) => shapeOf(path) === 'ollama')) {
    for (const [body, message] of cases) {
      const answer = await post(t, at(kitchen, path), body)
      t.equal(answer.status, 400, `${path} ${body}`)
      t.match(readError(path, answer.text).message, message)
    }
  }
  t.equal(kitchen.llm.requests.length, 0)
})

t.test('what only looks like a model, deeper or in a text, is passed on as it is', async (t) => {
  const kitchen = await openKitchen(t)
  const rest = [
    '"messages":[{"role":"user","content":"\\"model\\":\\"x\\""},{"model":7,"model":[],"Model":{}}]',
    '"text":"{\\"model\\":1,\\"model\\":2}","x":{"MODEL":[[["model"]]]},"y":"\\\\","z":"model"',
  ].join(',')
  for (const path of PATHS) {
    const answer = await post(t, at(kitchen, path), `{${rest}}`)
    t.equal(answer.status, 200, path)
    t.equal(answer.headers['x-potluck-participant'], 'alice', path)
    t.equal(kitchen.llm.requests.at(-1)?.body.toString(), `{"model":"llama3.2:3b",${rest}}`, path)
  }
})

t.test('no model, null, nothing and a star mean anybody', async (t) => {
  const kitchen = await openKitchen(t)
  for (const path of PATHS) {
    for (const body of ['{}', ' {\n} ', '{"model":null}', '{"model":""}', '{"model":"*"}', '{"model":"any"}']) {
      t.equal((await post(t, at(kitchen, path), body)).status, 200, `${path} ${body}`)
      const sent = kitchen.llm.requests.at(-1)!.body.toString()
      t.strictSame(JSON.parse(sent), { model: 'llama3.2:3b' }, sent)
    }
  }
})

t.test('a model that nobody has is told in the path’s own shape', async (t) => {
  const kitchen = await openKitchen(t)
  for (const path of PATHS) {
    const answer = await post(t, at(kitchen, path), '{"model":"gpt-9"}')
    t.equal(answer.status, 404, path)
    const told = readError(path, answer.text)
    t.equal(told.message, 'No available participant for the requested model', path)
    if (shapeOf(path) !== 'ollama') t.equal(told.type, 'not_found_error', path)
    if (shapeOf(path) === 'openai') t.equal(told.code, 'model_not_found', path)
  }
  t.equal(kitchen.llm.requests.length, 0)
})

const NOWHERE = [
  '/v1/nothing',
  '/v1',
  '/v1/chat',
  '/v1/chat/completions/x',
  '/v1/messages/batches',
  '/v1/responses/x/y',
  '/api',
  '/api/nothing',
]

t.test('a path that is none is told so, whoever asks how', async (t) => {
  const kitchen = await openKitchen(t)
  for (const path of NOWHERE) {
    for (const method of ['POST', 'GET', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      for (const url of [at(kitchen, path), `${kitchen.url}${path}`]) {
        const answer = await send(method, url)
        t.equal(answer.status, 404, `${method} ${path}`)
        const { message } = readError(path, answer.text)
        t.equal(message, `Nothing is served at ${method} ${new URL(url).pathname}`)
      }
    }
  }
})

t.test('whoever sends Anthropic’s version is answered in its shape where nobody else’s is meant', async (t) => {
  const kitchen = await openKitchen(t)
  const headers = { 'anthropic-version': '2023-06-01' }
  const answer = await send('POST', at(kitchen, '/v1/nothing'), { headers })
  t.match(readError('/v1/messages', answer.text), { message: /^Nothing is served/, type: 'not_found_error' })
})

t.test('a path that is served is not, by other methods', async (t) => {
  const kitchen = await openKitchen(t)
  for (const { method, path } of ALL_PATHS) {
    const others = ['PUT', 'PATCH', 'GET', 'DELETE', 'POST'].filter(
      (other) => !ALL_PATHS.some((endpoint) => endpoint.path === path && endpoint.method === other),
    )
    for (const other of others) {
      const url = at(kitchen, path.replace(':id', 'resp_1'))
      const answer = await send(other, url, { body: '{}' })
      t.equal(answer.status, 404, `${other} instead of ${method} ${path}`)
      t.match(readError(path, answer.text).message, /^Nothing is served at /, `${other} ${path}`)
    }
  }
  t.equal(kitchen.llm.requests.length, 0)
})

t.test('HEAD gets the status and no body', async (t) => {
  const kitchen = await openKitchen(t)
  for (const path of [...PATHS, '/v1/nothing']) {
    const answer = await send('HEAD', at(kitchen, path))
    t.strictSame([answer.status, answer.text], [404, ''], path)
  }
  for (const path of ['/v1/models', '/api/tags', '/api/version']) {
    const answer = await send('HEAD', at(kitchen, path))
    t.strictSame([answer.status, answer.text], [200, ''], path)
  }
})

t.test('a method that is none is answered, and the hub goes on', async (t) => {
  const kitchen = await openKitchen(t)
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(kitchen.url).port) }).on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.write(`BREW ${new URL(kitchen.chatUrl).pathname} HTTP/1.1\r\nHost: hub\r\n\r\n`)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 400 /)
  t.equal((await post(t, kitchen.chatUrl, '{}')).status, 200)
})

t.test('a room that is none is told in the path’s own shape', async (t) => {
  const { url } = await startHub(t)
  for (const { method, path } of ALL_PATHS) {
    for (const code of ['NOSUCH', '%00', '..%2f..', 'x'.repeat(1000), '%ff']) {
      const answer = await send(method, `${url}/rooms/${code}${path.replace(':id', 'resp_1')}`, { body: '{}' })
      t.equal(answer.status, 404, `${path} ${code.slice(0, 10)}`)
      t.equal(readError(path, answer.text).message, 'Room not found', `${path} ${code.slice(0, 10)}`)
    }
  }
})

t.test('at the root no room at all is told, and how to name one', async (t) => {
  const { url } = await startHub(t)
  await openRoom(url)
  await openRoom(url)
  for (const { method, path } of ALL_PATHS) {
    const answer = await send(method, `${url}${path.replace(':id', 'resp_1')}`, { body: '{}' })
    t.equal(answer.status, 404, path)
    const { message } = readError(path, answer.text)
    t.match(message, /^Which room\? .*\/rooms\/CODE\/v1.*CODE:password/, path)
  }
})

t.test('the lists tell the same in their own shapes', async (t) => {
  const { url } = await startHub(t)
  for (const path of ['/v1/models', '/api/tags', '/api/ps', '/api/version']) {
    const below = await send('GET', `${url}/rooms/NOSUCH${path}`)
    t.strictSame([below.status, readError(path, below.text).message], [404, 'Room not found'], path)
    const atRoot = await send('GET', `${url}${path}`)
    t.equal(atRoot.status, 404, path)
    t.match(readError(path, atRoot.text).message, /^Which room\?/, path)
  }
})
