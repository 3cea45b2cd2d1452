import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JoinBody, Participant, Specs } from '../../schemas/participant.ts'
import { type Backoff, createBackoff } from './backoff.ts'
import type { AgentEvent, AgentEventData, End, LeftReason, State } from './events.ts'
import { type HubApi, isPassing, refusalOf } from './hub-api.ts'
import type { Identities, Identity, Place } from './identities.ts'
import type { Link, LinkLost, Transport } from './link.ts'
import type { Headers } from './llm/question.ts'
import type { LlmServer } from './llm/server.ts'
import { watchServer } from './llm/watch.ts'
import { offered } from './models.ts'
import { anotherId } from './names.ts'

export interface MembershipOptions {
  hub: HubApi
  transport: Transport
  identities: Identities
  place: Place
  server: LlmServer
  /** The owner's credentials for the LLM server. */
  headers?: Headers
  /** Models by name; empty: all. */
  chosen: readonly string[]
  nickname: string
  /** @default made of the nickname and the kind of server */
  id: string
  /** The id was chosen by its owner, so no other will do. */
  isOwnId: boolean
  /** The room's, where it has one and it is known. */
  password(): string | undefined
  slots?: number | undefined
  /** Whether the room may fetch and delete models. */
  manage?: boolean | undefined
  /** Absent: they are not told. */
  specs?: Promise<Specs> | undefined
  onEvent(event: AgentEvent): void
  /** Whether it serves right now, as far as that can be seen from here. */
  onServing?(isServing: boolean): void
  backoff?: Backoff
  /** @default 10_000 */
  beatMs?: number
  /** @default 5000 */
  watchMs?: number
}

/** The hub calls a participant offline after 30 s of silence. */
const BEAT_MS = 10_000

/** The room must not wait for programs of the system that tell what this machine is made of. */
const SPECS_PATIENCE_MS = 2000

/** Who was in contact so lately and is gone without a failure in between was sent away: a hub that had restarted would have been missed. */
const IN_CONTACT_MS = 30_000

/** Events about requests come no faster. */
const SHOW_MS = 500

/** Other ids to try where the first is somebody else's. */
const MAX_IDS = 5

export type Membership = ReturnType<typeof createMembership>

/** One LLM server as a participant of one room: joins, stays in, and leaves. Knows no terminal. */
export function createMembership(options: MembershipOptions) {
  const { hub, identities, place, server, onEvent, beatMs = BEAT_MS } = options
  const backoff = options.backoff ?? createBackoff()
  const over = new AbortController()
  /** Aborted whenever something is to be looked at before the next beat. */
  let nudge = new AbortController()
  let isNudged = false
  let transport = options.transport
  let identity: Identity | undefined
  let id = options.id
  let roomId = ''
  let state: State = 'reconnecting'
  let participant: Participant | undefined
  let link: Link | undefined
  let lost: LinkLost | undefined
  let models = offered(server.models, options.chosen)
  let announced = ''
  let goneReason: string | undefined
  let specs: Specs | undefined
  let heardAt = Number.NEGATIVE_INFINITY
  let hasFailed = false
  let shown = ''
  let showing: NodeJS.Timeout | undefined
  let measured: Awaited<ReturnType<HubApi['participant']>> | undefined
  let end: End | undefined

  const emit = (event: AgentEventData) => onEvent({ participantId: id, ...event })
  const credential = () => identity?.token
  const wake = () => {
    isNudged = true
    nudge.abort()
  }

  function become(next: State, reason?: string): void {
    if (state === next || state === 'leaving') return
    state = next
    emit({ event: 'state', state, ...(reason === undefined ? {} : { reason }) })
  }

  /** Until the next try; nothing but the end cuts it short. */
  async function backOff(atLeastMs?: number): Promise<void> {
    hasFailed = true
    await sleep(backoff.nextMs(atLeastMs), undefined, { signal: over.signal }).catch(() => {})
  }

  /** Until the next beat, or until there is something new. */
  async function rest(): Promise<void> {
    if (!isNudged) {
      nudge = new AbortController()
      const signal = AbortSignal.any([over.signal, nudge.signal])
      await sleep(beatMs, undefined, { signal }).catch(() => {})
    }
    isNudged = false
  }

  async function join(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await joinAs(id)
      } catch (error) {
        const { code } = refusalOf(error)
        const isTaken = code === 'PTL_PARTICIPANT_ID_TAKEN' || code === 'PTL_ID_IS_MODEL'
        if (!isTaken || options.isOwnId || tries >= MAX_IDS) throw error
        id = anotherId(options.id)
        identity = undefined
      }
    }
  }

  async function joinAs(id: string): Promise<void> {
    const names = models
    const password = options.password()
    const body: JoinBody = {
      id,
      nickname: options.nickname,
      models: [...names],
      ...(await transport.joinFields()),
      ...(password === undefined ? {} : { password }),
      ...(options.slots === undefined ? {} : { slots: options.slots }),
      ...(specs === undefined ? {} : { specs }),
      ...(options.manage === true ? { manage: true } : {}),
    }
    const joined = await hub.join(place.code, body, { credential: credential(), signal: over.signal })
    participant = joined.participant
    roomId = joined.roomId
    announced = JSON.stringify(names)
    identity = { ...place, id, nickname: options.nickname, token: joined.token }
    await identities.save(identity).catch((error: Error) => {
      emit({ event: 'notice', message: `The token can't be kept, so the next join is somebody new: ${error.message}` })
    })
  }

  /** By another way, where this one is closed for good. */
  async function joinSomehow(): Promise<void> {
    try {
      await join()
      await stand()
    } catch (error) {
      if (transport.fallback?.isFor(error) !== true) throw error
      emit({ event: 'notice', message: transport.fallback.notice(error) })
      transport = transport.fallback.transport
      await join()
      await stand()
    }
  }

  async function stand(): Promise<void> {
    link?.close()
    link = undefined
    const { token } = identity as Identity
    const opened = await transport.open({ code: place.code, id, token }, over.signal, onActivity)
    link = opened
    lost = undefined
    void opened.lost?.then((error) => {
      if (link !== opened || state === 'leaving') return
      lost = error
      wake()
    })
    contact()
  }

  function contact(): void {
    heardAt = performance.now()
    hasFailed = false
    backoff.reset()
  }

  /** What the room says of it: others may pause it, and the hub measures it. */
  async function look(): Promise<void> {
    const seen = await hub.participant(place.code, id, { credential: credential(), signal: over.signal })
    contact()
    participant = seen
    become(seen.paused === true ? 'paused' : 'online')
    measured = seen
    showServed()
  }

  /** By what passes here, else by what the hub measured. */
  function showServed(): void {
    const { requests = 0, tokensPerSecond } = { ...measured?.performance, ...link?.served() }
    const running = link?.running() ?? (measured?.status === 'busy' && measured.paused !== true ? 1 : 0)
    const speed = tokensPerSecond === undefined ? {} : { tokensPerSecond }
    const now = JSON.stringify([requests, running])
    options.onServing?.(running > 0 || (link?.running() === undefined && shown !== '' && shown !== now))
    if (shown !== now) emit({ event: 'served', requests, running, ...speed })
    shown = now
  }

  /** A burst of requests is told as one. */
  function onActivity(): void {
    if ((link?.running() ?? 0) > 0) options.onServing?.(true)
    showing ??= setTimeout(() => {
      showing = undefined
      if (!over.signal.aborted) showServed()
    }, SHOW_MS)
  }

  async function announce(): Promise<void> {
    const now = JSON.stringify(models)
    if (now === announced) return
    const before = JSON.parse(announced) as string[]
    // Before the answer: a hub that refuses these names refuses them again.
    announced = now
    const added = models.filter((name) => !before.includes(name))
    const removed = before.filter((name) => !models.includes(name))
    try {
      participant = await hub.updateParticipant(place.code, id, { models: [...models] }, { credential: credential() })
      emit({ event: 'models', models, added, removed })
    } catch (error) {
      const refusal = refusalOf(error)
      if (isPassing(refusal) || refusal.code.endsWith('_NOT_FOUND')) {
        announced = JSON.stringify(before)
        throw error
      }
      emit({ event: 'notice', message: `The room does not take the models: ${refusal.message}` })
    }
  }

  /** Serves until something ends that. @throws whatever it was */
  async function serve(): Promise<void> {
    while (!over.signal.aborted) {
      await announce()
      await look()
      await rest()
      if (over.signal.aborted || goneReason !== undefined) return
      if (lost !== undefined) throw lost
      await link?.beat(over.signal)
      contact()
    }
  }

  /** What a failure means, as what to do next. @throws where nothing can be done */
  async function mend(error: unknown): Promise<void> {
    const refusal = refusalOf(error)
    link?.close()
    link = undefined
    if (over.signal.aborted) return
    if (refusal.code === 'PTL_LINK_LEFT') return finish('asked')
    if (refusal.code === 'PTL_LINK_REMOVED') return finish('removed')
    if (refusal.code === 'PTL_LINK_REPLACED') return finish('replaced')
    if (refusal.code === 'PTL_ROOM_NOT_FOUND') {
      become('waiting', `the room ${place.code} is gone`)
      return backOff()
    }
    if (refusal.code === 'PTL_PARTICIPANT_NOT_FOUND') {
      if (await hasLeft()) return finish('asked')
      if (await wasRemoved()) return finish('removed')
    }
    if (isPassing(refusal)) {
      become('reconnecting', refusal.message)
      return backOff(refusal.retryAfterMs)
    }
    if (!isForgotten(refusal.code)) finish('refused', error)
  }

  /** Its owner took it out by another command, which throws the token away. */
  async function hasLeft(): Promise<boolean> {
    return (await identities.load(place).catch(() => identity)) === undefined
  }

  /** Gone from the same room within a beat: that was its host's wish. */
  async function wasRemoved(): Promise<boolean> {
    if (hasFailed || performance.now() - heardAt > IN_CONTACT_MS) return false
    const room = await hub.room(place.code, { credential: credential(), signal: over.signal }).catch(() => undefined)
    return room !== undefined && room.id === roomId
  }

  function isForgotten(code: string): boolean {
    return ['PTL_PARTICIPANT_NOT_FOUND', 'PTL_NOT_YOUR_PARTICIPANT', 'PTL_TOKEN_REQUIRED'].includes(code)
  }

  function finish(reason: LeftReason, error?: unknown): void {
    end ??= { reason: state === 'leaving' ? 'asked' : reason, ...(error === undefined ? {} : { error }) }
    clearTimeout(showing)
    over.abort()
  }

  /** Whether the next step is to join again, or to stand up again as who it is. */
  async function run(): Promise<End> {
    let isMember = true
    while (!over.signal.aborted) {
      try {
        if (goneReason !== undefined) {
          await waitForServer()
          continue
        }
        if (!isMember) await rejoin()
        else if (link === undefined) await stand()
        isMember = true
        await serve()
      } catch (error) {
        const { code } = refusalOf(error)
        isMember = isMember && code !== 'PTL_ROOM_NOT_FOUND' && !isForgotten(code)
        try {
          await mend(error)
        } catch (fault) {
          finish('refused', fault)
        }
      }
    }
    return end ?? { reason: 'asked' }
  }

  async function rejoin(): Promise<void> {
    await join()
    await stand()
    emitJoined(await hub.room(place.code, { credential: credential(), signal: over.signal }))
  }

  /** Its owner stopped it, or it crashed: the room must not send requests to it. */
  async function waitForServer(): Promise<void> {
    link?.close()
    link = undefined
    become('away', goneReason)
    while (goneReason !== undefined && !over.signal.aborted) await rest()
  }

  function emitJoined({ code, name }: { code: string; name: string }): void {
    emit({
      event: 'joined',
      nickname: options.nickname,
      kind: server.kind,
      server: server.url,
      models,
      room: { code, name },
      baseUrl: `${place.hub}/rooms/${code}/v1`,
      via: transport.via,
      specs: participant?.specs ?? {},
    })
  }

  function watch(): void {
    const { headers, watchMs } = options
    const onModels = (all: readonly string[]) => {
      models = offered(all, options.chosen)
      goneReason = models.length === 0 ? 'none of the chosen models is there' : undefined
      wake()
    }
    const onGone = (reason: string) => {
      goneReason = reason
      wake()
    }
    void watchServer({ server, headers, intervalMs: watchMs, onModels, onGone }, over.signal)
  }

  /** What came too late to be told with the join. */
  async function tellSpecs(): Promise<void> {
    const late = specs === undefined ? await options.specs : undefined
    if (late === undefined || over.signal.aborted) return
    specs = late
    await hub.updateParticipant(place.code, id, { specs }, { credential: credential() }).catch(() => {})
  }

  return {
    get id() {
      return id
    },
    get state() {
      return state
    },
    get via() {
      return transport.via
    },
    /** Requests that run, as far as can be seen from here. */
    running: () => link?.running(),
    served: () => link?.served(),

    /** Resolves once it is in the room. @throws as the hub's API; OutOfReach */
    async start(): Promise<void> {
      identity = await identities.load(place).catch(() => undefined)
      // Who is told to be somebody else is somebody else.
      if (identity !== undefined && options.isOwnId && identity.id !== id) identity = undefined
      id = identity?.id ?? id
      specs = await Promise.race([options.specs, sleep(SPECS_PATIENCE_MS, undefined, { ref: false })])
      const room = await hub.room(place.code, { signal: over.signal })
      for (;;) {
        try {
          await joinSomehow()
          break
        } catch (error) {
          const refusal = refusalOf(error)
          // A hub that is there and fails may be starting; one that is not there was misspelt.
          if (!isStarting(refusal.code) || over.signal.aborted) throw error
          emit({ event: 'notice', message: `${refusal.message}: trying again` })
          await backOff(refusal.retryAfterMs)
        }
      }
      emitJoined(room)
      become(participant?.paused === true ? 'paused' : 'online')
    },

    /** Resolves when it has left, or can't stay. */
    async stay(): Promise<End> {
      watch()
      void tellSpecs()
      return run()
    },

    async setPaused(paused: boolean): Promise<void> {
      participant = await hub.updateParticipant(place.code, id, { paused }, { credential: credential() })
      become(paused ? 'paused' : 'online')
    },

    /** Stops without a word to the hub, as a crash does. */
    abandon(): void {
      finish('asked')
      link?.close()
    },

    /** Takes nothing new, finishes what runs, and leaves. */
    async leave(): Promise<void> {
      if (end !== undefined) return
      become('leaving')
      const current = link
      if (current !== undefined && (current.running() ?? 0) > 0) {
        await hub
          .updateParticipant(place.code, id, { paused: true }, { credential: credential() })
          .catch(() => undefined)
        await current.drain()
      }
      if (identity !== undefined) {
        const isGone = await hub.leave(place.code, id, { credential: credential() }).then(
          () => true,
          (error) => refusalOf(error).code.endsWith('_NOT_FOUND'),
        )
        // Where the hub was away it may still know the participant: with the token the next join is that one.
        if (isGone) await identities.remove(identity).catch(() => {})
      }
      finish('asked')
      link?.close()
    },
  }
}

/** The hub is there, and is not ready. */
function isStarting(code: string): boolean {
  return code === 'PTL_HUB_FAILED' || code === 'PTL_LINK_LOST'
}
