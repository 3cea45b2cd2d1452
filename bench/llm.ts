/**
 * The fake LLM server, a process of its own: no framework, no work that it could spare. What it answers stands in the prompt,
 * see `workload.ts`.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monotonicMs } from './clock.ts'
import { answerCalls } from './rpc.ts'
import { answerBody, CHUNK, MODEL, readWish, STREAM_END, type Wish } from './workload.ts'

/** The prompt that says what to do stands within so many bytes. */
const WISH_BYTES = 8192

const MODELS = JSON.stringify({ object: 'list', data: [{ id: MODEL, object: 'model', created: 1, owned_by: 'bench' }] })

/** By the id of the request, when its connection was closed before the answer had ended. */
const closings = new Map<number, number>()

const server = createServer(answer)

function answer(incoming: IncomingMessage, response: ServerResponse): void {
  if (incoming.method === 'POST') void serve(incoming, response)
  else sendJson(response, Buffer.from(MODELS))
}

async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { beginning, bytes } = await read(incoming)
  const wish = readWish(beginning)
  if (wish.id > 0) noteClosing(response, wish.id)
  if (wish.kind === 'stream' || wish.kind === 'break') startStream(response, wish)
  else if (wish.kind === 'fail') sendJson(response, Buffer.from('{"error":{"message":"out of memory"}}'), 500)
  else if (wish.kind !== 'never') sendJson(response, answerBody(wish, bytes))
}

/** A long body is counted, not kept. */
async function read(incoming: IncomingMessage): Promise<{ beginning: string; bytes: number }> {
  let [beginning, bytes] = ['', 0]
  incoming.on('data', (chunk: Buffer) => {
    if (bytes < WISH_BYTES) beginning += chunk.toString('latin1', 0, WISH_BYTES)
    bytes += chunk.length
  })
  await once(incoming, 'end')
  return { beginning, bytes }
}

function noteClosing(response: ServerResponse, id: number): void {
  response.once('close', () => {
    if (!response.writableFinished) closings.set(id, monotonicMs())
  })
}

function sendJson(response: ServerResponse, body: Buffer, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body)
}

function startStream(response: ServerResponse, { kind, chunks, perTick, everyMs }: Required<Wish>): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const end = kind === 'stream' ? () => response.end(STREAM_END) : () => response.destroy()
  let left = chunks
  const tick = () => {
    for (let count = 0; count < perTick && left > 0; count++, left--) response.write(CHUNK)
    if (left === 0) end()
    return left > 0 && !response.destroyed
  }
  if (everyMs === 0) runEachTurn(tick)
  else runEach(everyMs, tick)
}

function runEachTurn(tick: () => boolean): void {
  if (tick()) setImmediate(runEachTurn, tick)
}

function runEach(everyMs: number, tick: () => boolean): void {
  if (!tick()) return
  const timer = setInterval(() => {
    if (!tick()) clearInterval(timer)
  }, everyMs)
}

const api = {
  /** @returns the port, the same at all of the addresses */
  async listen({ keepAliveMs, addresses }: { keepAliveMs: number; addresses: readonly string[] }): Promise<number> {
    let port = 0
    for (const [index, address] of addresses.entries()) {
      const listener = index === 0 ? server : createServer(answer)
      listener.keepAliveTimeout = keepAliveMs
      listener.listen(port, address)
      await once(listener, 'listening')
      port = (server.address() as AddressInfo).port
    }
    return port
  },
  /** Those since the last call, as pairs of id and time. */
  takeClosings(): [id: number, at: number][] {
    const taken = [...closings]
    closings.clear()
    return taken
  },
}

export type LlmApi = typeof api

answerCalls(api)
