/**
 * The least that a proxy in Node can do: it takes a request and pipes the answer. No routing, no limits, no metering, no log;
 * it does not even notice when a client goes away. What careful code costs is measured against it.
 *
 *   node bench/bare-proxy.ts PORT UPSTREAM_PORT
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent } from 'undici'

const [port, upstreamPort] = process.argv.slice(2).map(Number)
const dispatcher = new Agent()
const origin = `http://127.0.0.1:${upstreamPort}`

async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url: path = '/' } = incoming
  const { host: _host, connection: _connection, 'transfer-encoding': _encoding, ...headers } = incoming.headers
  const body = method === 'GET' ? null : incoming
  const answer = await dispatcher.request({ origin, path, method: method as 'GET' | 'POST', headers, body })
  const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...replyHeaders } = answer.headers
  response.writeHead(answer.statusCode, replyHeaders)
  answer.body.pipe(response)
}

createServer((incoming, response) => {
  forward(incoming, response).catch(() => response.destroy())
}).listen(port, '127.0.0.1')
