import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'

export interface SeenRequest {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: Buffer
  /** Resolves when the socket to the hub has closed or the answer has ended. */
  closed: Promise<void>
  /** Whether the hub went away before the answer had ended. */
  aborted: boolean
}

export type Answerer = (request: SeenRequest, response: ServerResponse) => void | Promise<void>

export interface FakeLlm {
  url: string
  port: number
  /** Every request, in the order of arrival. */
  requests: SeenRequest[]
  sockets: Set<Socket>
  /** Changes how requests are answered from now on. */
  answer(answerer: Answerer): void
}

/** An LLM server that does what the test says, faults included. Stopped when the test ends. */
export async function startFakeLlm(t: Test, answerer: Answerer = answerPlain('Hello')): Promise<FakeLlm> {
  let current = answerer
  const requests: SeenRequest[] = []
  const sockets = new Set<Socket>()
  const server = createServer(async (incoming, response) => {
    const seen = await readRequest(incoming, response)
    requests.push(seen)
    await current(seen, response)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const answer = (next: Answerer) => {
    current = next
  }
  return { url: `http://127.0.0.1:${port}`, port, requests, sockets, answer }
}

async function readRequest(incoming: IncomingMessage, response: ServerResponse): Promise<SeenRequest> {
  const chunks: Buffer[] = []
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const seen: SeenRequest = {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    body: Buffer.alloc(0),
    closed,
    aborted: false,
  }
  response.once('close', () => {
    seen.aborted = !response.writableFinished
    resolve()
  })
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  seen.body = Buffer.concat(chunks)
  return seen
}

/** A whole chat completion, with usage. */
export function answerPlain(content: string): Answerer {
  return (_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(completion(content)))
  }
}

export function completion(content: string): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'llama3.2:3b',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  }
}

export function chunkOf(content: string): string {
  const chunk = {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'llama3.2:3b',
    choices: [{ index: 0, delta: { content }, finish_reason: null }],
  }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

const LAST_CHUNK =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama3.2:3b","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
const USAGE_CHUNK =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"llama3.2:3b","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'

export interface StreamOptions {
  /** Between two chunks. @default 0 */
  pauseMs?: number
  usage?: boolean
}

/** A streamed chat completion, one chunk a word. */
export function answerStream(words: readonly string[], { pauseMs = 0, usage = true }: StreamOptions = {}): Answerer {
  return async (_request, response) => {
    startStream(response)
    for (const word of words) {
      response.write(chunkOf(word))
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      if (response.destroyed) return
    }
    response.write(LAST_CHUNK)
    if (usage) response.write(USAGE_CHUNK)
    response.end('data: [DONE]\n\n')
  }
}

export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  response.flushHeaders()
}

/** Sends part of a stream, then cuts the socket. */
export function answerBrokenStream(words: readonly string[]): Answerer {
  return (_request, response) => {
    startStream(response)
    for (const word of words) response.write(chunkOf(word))
    setTimeout(() => response.destroy(), 20)
  }
}

/** Takes the request and never says a word. */
export const answerNever: Answerer = () => {}
