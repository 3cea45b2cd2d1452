import t from 'tap'
import { PROTOCOLS, pathWithin, protocolAt } from '../../../plugins/ollama-proxy/protocols/index.ts'

t.test('the path of an API is found below a room and at the root', async (t) => {
  const paths = {
    '/rooms/K7QX2M/v1/chat/completions': '/v1/chat/completions',
    '/rooms/K7QX2M/v1/x?y=/api/z': '/v1/x',
    '/rooms/v1/v1': '/v1',
    '/v1/': '/v1/',
    '/api/chat?x': '/api/chat',
    '/API/chat': '/API/chat',
    'http://hub.test/v1/models': '/v1/models',
    'http://hub.test/rooms/api/api/tags': '/api/tags',
  }
  for (const [url, path] of Object.entries(paths)) t.equal(pathWithin(url), path, url)
})

t.test('nobody’s API is meant elsewhere', async (t) => {
  for (const url of [
    '/',
    '/rooms',
    '/rooms/v1',
    '/rooms/K7QX2M/join',
    '/v1x',
    '/v10/x',
    '/health?/v1/x',
    '/a/v1/x',
    '/rooms/a/b/v1/x',
  ]) {
    t.equal(pathWithin(url), undefined, url)
  }
})

const nameAt = (path: string, headers = {}) => protocolAt(path, headers).name

t.test('a path that is served is its own protocol’s', async (t) => {
  for (const { name, endpoints } of PROTOCOLS) {
    for (const { path } of endpoints) t.equal(nameAt(path.replace(':id', 'resp_1')), name, path)
  }
})

t.test('so is one below it', async (t) => {
  t.equal(nameAt('/v1/messages/batches'), 'anthropic-messages')
  t.equal(nameAt('/v1/responses/x/y/z'), 'openai-responses')
  t.equal(nameAt('/v1/messagesx'), 'openai-chat')
})

t.test('on a path that nobody serves, whoever is likely to have asked is answered', async (t) => {
  t.equal(nameAt('/v1/nothing'), 'openai-chat')
  t.equal(nameAt('/v1'), 'openai-chat')
  t.equal(nameAt('/v1/nothing', { 'anthropic-version': '2023-06-01' }), 'anthropic-messages')
  t.equal(nameAt('/api/nothing'), 'ollama-chat')
  t.equal(nameAt('/API/nothing'), 'ollama-chat')
  t.equal(nameAt('/api/nothing', { 'anthropic-version': '2023-06-01' }), 'ollama-chat')
})

t.test('no two operations are the same, and each has a name of its own', async (t) => {
  const endpoints = PROTOCOLS.flatMap((protocol) => protocol.endpoints)
  const places = endpoints.map(({ method, path }) => `${method} ${path}`)
  t.strictSame([...new Set(places)], places)
  const ids = endpoints.map(({ operationId }) => operationId)
  t.strictSame([...new Set(ids)], ids)
})

const failure = { statusCode: 404, code: 'PTL_NO_PARTICIPANT', message: 'Nobody has it' }

t.test('each protocol’s error is what its description says', async (t) => {
  const openai = { message: failure.message, type: 'not_found_error', param: 'model', code: 'model_not_found' }
  const shapes = {
    openai: { error: openai },
    anthropic: { type: 'error', error: { type: 'not_found_error', message: failure.message } },
    ollama: { error: failure.message },
  }
  for (const { name, errorShape, errorBody } of PROTOCOLS) {
    t.strictSame(errorBody(failure), shapes[errorShape], name)
  }
})

t.test('an error in the midst of a stream ends with what ends its frames', async (t) => {
  for (const { name, streamType, errorFrame } of PROTOCOLS) {
    const end = streamType === 'text/event-stream' ? '\n\n' : '\n'
    t.ok(errorFrame(failure).endsWith(`}${end}`), name)
    t.notOk(errorFrame(failure).trimEnd().includes('\n\n'), name)
  }
})
