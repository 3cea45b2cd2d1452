import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

/** A machine's LLM server, as far as people feel it. */
export interface MachineSpec {
  readonly name: string
  readonly slots: number
  /** Of one slot. */
  readonly tokensPerSecond: number
}

/** From a workstation to an old laptop. */
export const MACHINES: readonly MachineSpec[] = [
  { name: 'workstation', slots: 4, tokensPerSecond: 90 },
  { name: 'gaming-pc', slots: 2, tokensPerSecond: 60 },
  { name: 'desktop', slots: 2, tokensPerSecond: 40 },
  { name: 'macbook-pro', slots: 1, tokensPerSecond: 35 },
  { name: 'macbook-air', slots: 1, tokensPerSecond: 25 },
  { name: 'office-pc', slots: 1, tokensPerSecond: 18 },
  { name: 'laptop', slots: 1, tokensPerSecond: 10 },
  { name: 'old-laptop', slots: 1, tokensPerSecond: 7 },
]

/** A prompt is read so many times faster than an answer is written. */
export const PREFILL = 12

/** Before the first token of any answer, ms. */
export const OVERHEAD_MS = 50

export const BYTES_PER_TOKEN = 4

/** Pieces of an answer, that a run's CPU does not go into making tokens. */
const PIECES = 4

export interface Slot {
  /** The prompt and the answer that it holds. */
  cached: string
  isBusy: boolean
  lastUsed: number
}

export interface Work {
  readonly prompt: string
  readonly answerTokens: number
}

/** How long the prompt takes to be read in that slot, and the answer to be written, ms of a real machine. */
export function costOf({ tokensPerSecond }: MachineSpec, cached: string, { prompt, answerTokens }: Work) {
  const coldTokens = (prompt.length - sharedPrefix(cached, prompt)) / BYTES_PER_TOKEN
  const readMs = OVERHEAD_MS + (coldTokens * 1000) / (tokensPerSecond * PREFILL)
  return { readMs, writeMs: (answerTokens * 1000) / tokensPerSecond }
}

export function sharedPrefix(one: string, other: string): number {
  // Conversations begin with what makes them theirs, so most comparisons end at once.
  const end = Math.min(one.length, other.length)
  let at = 0
  while (at < end && one.charCodeAt(at) === other.charCodeAt(at)) at += 1
  return at
}

/** The slot that has most of the prompt, else the one that was idle longest: as llama.cpp chooses. */
export function bestSlot(slots: readonly Slot[], prompt: string): Slot | undefined {
  const free = slots.filter(({ isBusy }) => !isBusy)
  const ranked = free.map((slot) => ({ slot, shared: sharedPrefix(slot.cached, prompt) }))
  ranked.sort((one, other) => other.shared - one.shared || one.slot.lastUsed - other.slot.lastUsed)
  return ranked[0]?.slot
}

export interface Machine {
  readonly spec: MachineSpec
  readonly url: string
  /** Requests that are there, in a slot or waiting for one. */
  readonly load: number
  close(): Promise<void>
}

/** An OpenAI-compatible server with the timing of such a machine, `speedUp` times as fast. */
export async function startMachine(spec: MachineSpec, speedUp: number): Promise<Machine> {
  const slots: Slot[] = Array.from({ length: spec.slots }, () => ({ cached: '', isBusy: false, lastUsed: 0 }))
  const waiting: (() => void)[] = []
  let load = 0

  async function takeSlot(prompt: string): Promise<Slot> {
    for (;;) {
      const slot = bestSlot(slots, prompt)
      if (slot !== undefined) {
        slot.isBusy = true
        return slot
      }
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }

  async function serve(work: Work, response: ServerResponse): Promise<void> {
    const slot = await takeSlot(work.prompt)
    const { readMs, writeMs } = costOf(spec, slot.cached, work)
    await sleep(readMs / speedUp)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let piece = 0; piece < PIECES; piece++) {
      response.write(`data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n`)
      await sleep(writeMs / PIECES / speedUp)
    }
    slot.cached = `${work.prompt}${answerOf(work)}`
    slot.lastUsed = performance.now()
    slot.isBusy = false
    response.end('data: [DONE]\n\n')
    waiting.shift()?.()
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse((await text(request)) || '{}') as { messages?: { content: string }[]; max_tokens?: number }
    load += 1
    response.once('close', () => {
      load -= 1
    })
    const prompt = (body.messages ?? []).map(({ content }) => content).join('')
    await serve({ prompt, answerTokens: body.max_tokens ?? 1 }, response)
  }

  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    spec,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get load() {
      return load
    },
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** What the model says, as the person sends it back with the next message. */
export function answerOf({ answerTokens, prompt }: Work): string {
  return `[${prompt.length}]`.padEnd(answerTokens * BYTES_PER_TOKEN, '.')
}
