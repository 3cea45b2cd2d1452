import type { Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import type { HubOptions } from '../../src/hub.ts'
import { type Attempts, watchAttempts } from './attempts.ts'
import { type Answer, call, openRoom, type RunningHub, startHub } from './hub.ts'

/** A laptop on the LAN: it stands in a header alone. */
export const LAPTOP = '192.168.1.20'

/** On the hub's own machine. */
export const HERE = '::1'

export interface JoinAnswer {
  error?: string
  token?: string
}

export interface Joins extends RunningHub {
  base: string
  attempts: Attempts
  /** Joins as somebody new. */
  join(
    endpoint: string,
    from?: string,
    body?: Partial<JoinBody>,
    headers?: Record<string, string>,
  ): Promise<Answer<JoinAnswer>>
  /** Names the participant, so that nobody else serves. */
  chat(id: string): Promise<Answer<{ error?: { message: string } }>>
}

/** A room behind a proxy on this machine, so that joiners come from where the test says. */
export async function startJoins(t: Test, options: HubOptions = {}): Promise<Joins> {
  const running = await startHub(t, { trustedProxies: ['127.0.0.1'], ...options })
  const attempts = watchAttempts(t, running.url)
  const base = `${running.url}/rooms/${(await openRoom(running.url)).room.code}`
  let count = 0
  const join: Joins['join'] = (endpoint, from = LAPTOP, body = {}, headers = {}) => {
    count += 1
    const entry = { id: `p${count}`, nickname: 'Somebody', model: 'llama3.2:3b', endpoint, ...body }
    return call('POST', `${base}/join`, entry, { 'x-forwarded-for': from, ...headers })
  }
  const chat: Joins['chat'] = (id) => call('POST', `${base}/v1/chat/completions`, { model: id, messages: [] })
  return { ...running, base, attempts, join, chat }
}

/** Every one of these is 400 with that sentence, nobody is in the room, and nothing was sent. */
export async function refusesAll(t: Test, joins: Joins, endpoints: readonly string[], why: RegExp, from?: string) {
  for (const endpoint of endpoints) {
    const { status, body } = await joins.join(endpoint, from)
    t.equal(status, 400, encodeURI(endpoint))
    t.match(body.error, why, encodeURI(endpoint))
  }
  const { body } = await call<{ participants: unknown[] }>('GET', `${joins.base}/participants`)
  t.strictSame([body.participants, joins.attempts.list], [[], []])
}

export async function takesAll(t: Test, joins: Joins, endpoints: readonly string[], from?: string) {
  for (const endpoint of endpoints) t.equal((await joins.join(endpoint, from)).status, 201, endpoint)
  t.strictSame(joins.attempts.list, [], 'a join probes nothing')
}

export function atPort(hosts: readonly string[], port = 11434): string[] {
  return hosts.map((host) => `http://${host}:${port}`)
}
