import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { answerOf, BYTES_PER_TOKEN, type Work } from './machines.ts'

/** Where requests go, and how they end. */
export interface Target {
  /** The chat completions that serve this one, once it may go there. */
  route(person: number, work: Work): Route | Promise<Route>
}

export interface Route {
  readonly url: string
  readonly headers?: Record<string, string>
  onEnd?(): void
}

export interface CrowdOptions {
  people: number
  /** The first one sends as much as so many others. */
  greed: number
  /** How long it goes on, ms of the run. */
  durationMs: number
  speedUp: number
  seed: number
}

export interface Felt {
  person: number
  /** ms of a real crowd. */
  ttftMs: number
  tokens: number
}

/** Mulberry32: the same people in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const THINK_MS = 20_000
const SYSTEM_TOKENS = 400
const LONGEST_TOKENS = 6000

/** People who chat: each reads the answer, thinks, and goes on, until the conversation ends and another begins. */
export async function runCrowd(target: Target, options: CrowdOptions): Promise<Felt[]> {
  const { people, greed, durationMs, speedUp, seed } = options
  const felt: Felt[] = []
  const agent = new Agent({ connections: null, pipelining: 1 })
  const endAt = performance.now() + durationMs
  const stop = AbortSignal.timeout(durationMs + 60_000 / speedUp)
  const chats = Array.from({ length: people }, (_, person) => {
    const threads = person === 0 ? greed : 1
    return Array.from({ length: threads }, (_, thread) =>
      chat(person, randomFrom(seed * 1000 + person * 20 + thread), threads > 1),
    )
  })
  await Promise.all(chats.flat())
  await agent.destroy()
  return felt

  async function chat(person: number, random: () => number, isHasty: boolean): Promise<void> {
    const mean = (value: number) => -value * Math.log(1 - random())
    let conversation = 0
    let turnsLeft = 0
    let messages: { role: string; content: string }[] = []
    let tokens = 0
    await sleep((isHasty ? 0 : mean(THINK_MS)) / speedUp)
    while (performance.now() < endAt) {
      if (turnsLeft === 0 || tokens > LONGEST_TOKENS) {
        conversation += 1
        turnsLeft = 3 + Math.floor(random() * 8)
        messages = [{ role: 'system', content: textOf(`${person}/${conversation}/${random()}`, SYSTEM_TOKENS) }]
        tokens = SYSTEM_TOKENS
      }
      turnsLeft -= 1
      const said = 30 + Math.floor(mean(120))
      const answerTokens = 30 + Math.floor(mean(200))
      messages.push({ role: 'user', content: textOf(`${random()}`, said) })
      tokens += said + answerTokens
      const work: Work = { prompt: messages.map(({ content }) => content).join(''), answerTokens }
      const ttftMs = await ask(person, work, messages)
      if (ttftMs === undefined) return
      if (performance.now() < endAt) felt.push({ person, ttftMs: ttftMs * speedUp, tokens: answerTokens })
      messages.push({ role: 'assistant', content: answerOf(work) })
      await sleep((isHasty ? 0 : mean(THINK_MS)) / speedUp)
    }
  }

  /** @returns the time to the first token, ms; undefined where the run has ended meanwhile */
  async function ask(person: number, work: Work, messages: object[]): Promise<number | undefined> {
    const body = JSON.stringify({ model: '*', stream: true, max_tokens: work.answerTokens, messages })
    const startedAt = performance.now()
    const { url, headers = {}, onEnd = () => {} } = await target.route(person, work)
    const { origin, pathname } = new URL(url)
    try {
      const answer = await agent.request({
        origin,
        path: pathname,
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal: stop,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      if (answer.statusCode !== 200)
        throw new Error(`${url} answered ${answer.statusCode}: ${await answer.body.text()}`)
      let ttftMs: number | undefined
      for await (const chunk of answer.body) {
        if (ttftMs === undefined && (chunk as Buffer).includes('"content"')) ttftMs = performance.now() - startedAt
      }
      return ttftMs
    } catch (error) {
      if (stop.aborted) return undefined
      throw error
    } finally {
      onEnd()
    }
  }
}

function textOf(seed: string, tokens: number): string {
  return `${seed} `.padEnd(tokens * BYTES_PER_TOKEN, 'kitchen words ')
}
