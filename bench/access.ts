/**
 * What access control costs: a request with the room's password as its key against the same in an open room, and what a
 * hundred wrong passwords at once do to everybody else.
 *
 *   node bench/access.ts [--pairs 15] [--requests 400]
 */
import { once } from 'node:events'
import { Agent, createServer, type RequestListener, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { createHub } from '../src/hub.ts'

const PASSWORD = 'open sesame'

/** At once: enough to keep the hub busy, few enough to measure no queue. */
const CONNECTIONS = 16

const { values } = parseArgs({ options: { pairs: { type: 'string' }, requests: { type: 'string' } } })
const pairs = Number(values.pairs ?? 15)
const requests = Number(values.requests ?? 400)

const hub = createHub({ host: '127.0.0.1', port: 0, graceMs: 0 })
const url = await hub.listen()
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const answer: RequestListener = (incoming, response) => {
  incoming.resume().once('end', () => {
    response
      .setHeader('content-type', 'application/json')
      .end('{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}')
  })
}
const llm = createServer(answer).listen(0, '127.0.0.1')
await once(llm, 'listening')
const endpoint = `http://127.0.0.1:${(llm.address() as AddressInfo).port}`

function ask(method: string, path: string, key: string, body?: object): Promise<{ status: number; text: string }> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }
  const headers = { authorization: `Bearer ${key}`, ...length }
  const outgoing = request(`${url}${path}`, { method, agent, headers }, (response) => {
    let received = ''
    response.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk
    })
    response.once('end', () => resolve({ status: response.statusCode ?? 0, text: received }))
  })
  outgoing.once('error', reject).end(text)
  return promise
}

async function openRoom(password?: string): Promise<string> {
  const { text } = await ask('POST', '/rooms', 'none', {
    name: 'Bench',
    ...(password === undefined ? {} : { password }),
  })
  const { code } = (JSON.parse(text) as { room: { code: string } }).room
  const entry = { id: `llm-${code}`, nickname: 'LLM', model: 'm', endpoint }
  await ask('POST', `/rooms/${code}/join`, password ?? 'none', entry)
  return code
}

type Work = (code: string) => Promise<{ status: number }>

const listModels: Work = (code) => ask('GET', `/rooms/${code}/v1/models`, PASSWORD)
const chat: Work = (code) => ask('POST', `/rooms/${code}/v1/chat/completions`, PASSWORD, { model: '*', messages: [] })

/** CPU µs of a request, the client's and the LLM server's share included: it is the same in both rooms. */
async function costOf(work: Work, code: string): Promise<number> {
  const before = process.cpuUsage()
  let left = requests
  const client = async () => {
    while (left > 0) {
      left -= 1
      const { status } = await work(code)
      if (status !== 200) throw new Error(`answered ${status}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, client))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

const shown = (number: number, digits = 1) => number.toFixed(digits)

/** In pairs, whose order changes: what else the machine does falls on both alike. */
async function compare(name: string, work: Work, open: string, locked: string): Promise<void> {
  await costOf(work, open)
  await costOf(work, locked)
  const found: { open: number; locked: number }[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    const isOpenFirst = pair % 2 === 0
    const first = await costOf(work, isOpenFirst ? open : locked)
    const second = await costOf(work, isOpenFirst ? locked : open)
    found.push(isOpenFirst ? { open: first, locked: second } : { open: second, locked: first })
  }
  const ratio = median(found.map((pair) => pair.locked / pair.open))
  const [costOpen, costLocked] = [median(found.map((pair) => pair.open)), median(found.map((pair) => pair.locked))]
  console.log(
    `${name}: ${shown(costOpen)} µs open, ${shown(costLocked)} µs with the password, ratio ${shown(ratio, 3)}`,
  )
}

async function guess(code: string, count: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const answers = Array.from({ length: count }, (_, index) =>
    ask('GET', `/rooms/${code}/participants`, `guess ${index}`),
  )
  for (const { status } of await Promise.all(answers)) statuses.set(status, (statuses.get(status) ?? 0) + 1)
  return statuses
}

async function floodWithGuesses(code: string): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  // The histogram's own first samples are of its start.
  await new Promise((resolve) => setTimeout(resolve, 50))
  delay.reset()
  delay.enable()
  const startedAt = performance.now()
  const statuses = await guess(code, 100)
  const durationMs = performance.now() - startedAt
  delay.disable()
  const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map((ns) => shown(ns / 1e6))
  const found = Array.from(statuses, ([status, count]) => `${count} × ${status}`).join(', ')
  console.log(`100 wrong passwords at once: ${found}, in ${shown(durationMs, 0)} ms`)
  console.log(`event loop delay meanwhile: median ${p50} ms, p99 ${p99} ms, longest ${max} ms`)
}

/** For as long as it takes to see what a minute lets through. */
async function countGuesses(code: string): Promise<void> {
  let [sent, looked] = [0, 0]
  const until = performance.now() + 3000
  while (performance.now() < until) {
    const statuses = await guess(code, 50)
    sent += 50
    looked += statuses.get(401) ?? 0
  }
  console.log(
    `one address, 3 s of guessing: ${sent} sent, ${looked} looked at, of ${hub.config.guessesPerMinute} a minute`,
  )
}

const [open, locked] = [await openRoom(), await openRoom(PASSWORD)]
await compare('GET …/v1/models', listModels, open, locked)
await compare('POST …/v1/chat/completions', chat, open, locked)
await floodWithGuesses(await openRoom('of its own'))
await countGuesses(await openRoom('another of its own'))
agent.destroy()
llm.close()
await hub.close()
