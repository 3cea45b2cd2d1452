import t from 'tap'
import { learn } from '../../plugins/ollama-proxy/knowledge.ts'
import { PROTOCOLS } from '../../plugins/ollama-proxy/protocols/index.ts'
import { TUNNEL_PATHS, tunnelPathOf } from '../../schemas/tunnel.ts'

t.test('all that the hub serves may go through a tunnel, with its query, and no other inference', async (t) => {
  const served = PROTOCOLS.flatMap(({ endpoints }) => endpoints).map(({ method, path, query, manages }) =>
    JSON.stringify([method, path, [...(query ?? [])].sort(), manages === true]),
  )
  const allowed = TUNNEL_PATHS.filter(({ isQuestion, path }) => isQuestion !== true || path === '/api/show').map(
    ({ method, path, query, manages }) => JSON.stringify([method, path, [...(query ?? [])].sort(), manages === true]),
  )
  t.strictSame(allowed.sort(), served.sort())
})

t.test('all that the hub learns by may go through a tunnel', async (t) => {
  const asked = new Set<string>()
  for (const kind of ['ollama', 'nothing']) {
    await learn(
      async (path, body) => {
        asked.add(`${body === undefined ? 'GET' : 'POST'} ${path}`)
        return kind === 'ollama' && path === '/api/version' ? { version: '1' } : undefined
      },
      ['m'],
    )
  }
  // What the lists of a room and the probes are made of.
  for (const path of ['/api/tags', '/api/ps', '/api/version', '/v1/models']) asked.add(`GET ${path}`)
  const questions = TUNNEL_PATHS.filter(({ isQuestion }) => isQuestion === true)
  t.strictSame(questions.map(({ method, path }) => `${method} ${path}`).sort(), [...asked].sort())
})

t.test('what is not written as the hub writes it is none of it', async (t) => {
  const others: [method: string, target: string][] = [
    ['GET', '/v1/chat/completions'],
    ['POST', '/v1/chat/completions/'],
    ['POST', '//v1/chat/completions'],
    ['POST', '/v1//chat/completions'],
    ['POST', '/v1/./chat/completions'],
    ['POST', '/v1/x/../chat/completions'],
    ['POST', '/v1/%63hat/completions'],
    ['POST', '/v1/chat/completions%00'],
    ['POST', '/v1/chat/completions?key=1'],
    ['POST', '/v1/chat/completions#x'],
    ['POST', '/v1/chat/completions;x'],
    ['POST', 'http://10.0.0.1/v1/chat/completions'],
    ['POST', '*'],
    ['POST', ''],
    ['CONNECT', '/v1/chat/completions'],
    ['CONNECT', 'undefined'],
    ['TRACE', '/v1/models'],
    ['GET', '/'],
    ['GET', '/metrics'],
    ['GET', '/v1/models/../../admin'],
    ['GET', '/v1/responses/..'],
    ['GET', '/v1/responses/%2e%2e'],
    ['GET', '/v1/responses/.%2E'],
    ['GET', '/v1/responses/a%2fb'],
    ['GET', '/v1/responses/a%5cb'],
    ['GET', '/v1/responses/a%252fb'],
    ['GET', '/v1/responses/a%'],
    ['GET', '/v1/responses/a%00'],
    ['GET', '/v1/responses/a%ff'],
    ['GET', '/v1/responses/a/b'],
    ['GET', '/v1/responses/'],
    ['GET', `/v1/responses/${'a'.repeat(301)}`],
    ['GET', '/v1/responses/a?limit=1&other=2'],
    ['GET', '/v1/responses/a?limit=1\r\nx: y'],
    ['GET', '/v1/responses/a?limit=1#x'],
    ['GET', `/v1/responses/a?limit=${'1'.repeat(5000)}`],
  ]
  for (const [method, target] of others)
    t.equal(tunnelPathOf(method, target), undefined, `${method} ${encodeURI(target)}`)
  t.match(tunnelPathOf('GET', '/v1/responses/resp_1?limit=1&include%5B%5D=a'), { path: '/v1/responses/:id' })
  t.match(tunnelPathOf('DELETE', `/v1/responses/${encodeURIComponent('ä b')}`), { method: 'DELETE' })
})
