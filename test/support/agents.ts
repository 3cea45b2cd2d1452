import type { Test } from 'tap'
import { directTransport } from '../../src/agent/direct.ts'
import type { AgentEvent, AgentEventData, End, Via } from '../../src/agent/events.ts'
import { openIdentities } from '../../src/agent/identities.ts'
import { lookAt } from '../../src/agent/llm/server.ts'
import { Membership, type MembershipOptions } from '../../src/agent/membership.ts'
import { tunnelTransport } from '../../src/agent/tunnelled.ts'
import { createClient } from '../../src/client/client.ts'
import { eventually } from './cli.ts'
import { freshDirectory } from './fresh-directory.ts'

export interface Agent {
  membership: Membership
  events: AgentEvent[]
  end: Promise<End>
  until<E extends AgentEventData['event']>(
    event: E,
    fits?: (seen: Extract<AgentEvent, { event: E }>) => boolean,
    timeoutMs?: number,
  ): Promise<Extract<AgentEvent, { event: E }>>
}

export interface AgentOptions extends Partial<MembershipOptions> {
  hubUrl: string
  code: string
  endpoint: string
  stateDir?: string
  /** @default direct */
  via?: Via
  fetch?: typeof fetch
}

/** Beats and looks are quick, so that tests are. */
const QUICK = { beatMs: 100, watchMs: 100 }

/** A participant's side in this process, that has joined; gone with the test. */
export async function startAgent(
  t: Test,
  { hubUrl, code, endpoint, stateDir, via = 'direct', fetch = globalThis.fetch, ...more }: AgentOptions,
): Promise<Agent> {
  const look = await lookAt(endpoint, more.headers)
  if (look.kind !== 'found') throw new Error(`no LLM server at ${endpoint}`)
  const { server } = look
  const hub = createClient({ url: hubUrl, fetch })
  const events: AgentEvent[] = []
  const membership = new Membership({
    hub,
    transport:
      via === 'direct'
        ? directTransport({ hub, hubUrl, server })
        : tunnelTransport({ hubUrl, server, headers: more.headers ?? {}, manage: false }),
    identities: openIdentities(stateDir ?? freshDirectory(t)),
    place: { hub: hubUrl, code, server: server.url },
    server,
    chosen: [],
    nickname: 'Alice',
    id: 'alice',
    isOwnId: false,
    password: () => undefined,
    onEvent: (event) => events.push(event),
    ...QUICK,
    ...more,
  })
  await membership.start()
  const end = membership.stay()
  t.teardown(() => membership.abandon())
  let from = 0
  return {
    membership,
    events,
    end,
    async until(event, fits = () => true, timeoutMs = 20_000) {
      const isIt = (seen: AgentEvent) => seen.event === event && fits(seen as never)
      const found = await eventually(
        () => events.findIndex((seen, index) => index >= from && isIt(seen)),
        (index) => index >= 0,
        timeoutMs,
      ).catch(() => {
        throw new Error(`no ${event}: ${JSON.stringify(events)}`)
      })
      from = found + 1
      return events[found] as never
    },
  }
}
