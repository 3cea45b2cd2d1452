import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FINDABLE } from './llm-kinds.ts'

/** An Ollama-like server in a process of its own, that can be stopped and killed: `node llm-child.ts [PORT]`. Prints its URL. */
const told = FINDABLE.ollama!(['llama3.2:3b'])
const WORDS = ['Carrots', ' and', ' thyme']

const server = createServer((request, response) => {
  request.resume()
  if (request.method === 'POST' && request.url === '/v1/chat/completions') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const content of WORDS)
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`)
    return void response.end('data: [DONE]\n\n')
  }
  const found = told[`${request.method} ${request.url}`]
  response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(found ?? {}))
})
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
