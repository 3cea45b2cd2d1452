import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, createBackoff } from './backoff.ts'
import { Enrolment, type EnrolmentOptions } from './enrolment.ts'
import type { AgentEvent, AgentEventData, End, LeftReason, State } from './events.ts'
import { type HubApi, isPassing, refusalOf } from './hub-api.ts'
import type { Link, LinkLost } from './link.ts'
import type { Headers } from './llm/question.ts'
import type { LlmServer } from './llm/server.ts'
import { watchServer } from './llm/watch.ts'
import { offered } from './models.ts'

export interface MembershipOptions extends Omit<EnrolmentOptions, 'onNotice'> {
  server: LlmServer
  /** The owner's credentials for the LLM server. */
  headers?: Headers
  /** Models by name; empty: all. */
  chosen: readonly string[]
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

/** Who was in contact so lately, and is gone without a failure in between, was sent away: a restart would have been missed. */
const IN_CONTACT_MS = 30_000

/** How long the hub may take to close the link of who has left. */
const SEE_OFF_MS = 1000

/** Events about requests come no faster. */
const SHOW_MS = 500

/** One LLM server as a participant of one room: joins, stays in, and leaves. Knows no terminal. */
export class Membership {
  readonly #options: MembershipOptions
  readonly #backoff: Backoff
  readonly #over = new AbortController()
  readonly #enrolment: Enrolment
  #state: State = 'reconnecting'
  #end: End | undefined
  #link: Link | undefined
  #lost: LinkLost | undefined
  #models: readonly string[]
  /** Why the LLM server can't serve; undefined while it can. */
  #goneReason: string | undefined
  /** Whether the hub knows it, as far as was heard. */
  #isMember = true
  #heardAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #nudge = new AbortController()
  #isNudged = false
  /** Requests as they were counted last, and before the counter fell back to 0. */
  #counted = { now: 0, before: 0 }
  #measured: Awaited<ReturnType<HubApi['participant']>> | undefined
  #shown = ''
  #showing: NodeJS.Timeout | undefined

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#backoff = options.backoff ?? createBackoff()
    this.#models = offered(options.server.models, options.chosen)
    const onNotice = (message: string) => this.#emit({ event: 'notice', message })
    this.#enrolment = new Enrolment({ ...options, onNotice }, this.#over.signal)
  }

  get id(): string {
    return this.#enrolment.id
  }

  get state(): State {
    return this.#state
  }

  /** Requests that run, where that can be seen from here. */
  running(): number | undefined {
    return this.#link?.running()
  }

  /** What it does for the room: by what passes here, else by what the hub measured. */
  served(): { requests: number; running: number; tokensPerSecond?: number } {
    const [measured, link] = [this.#measured, this.#link]
    const isBusy = measured?.status === 'busy' && measured.paused !== true
    const { requests = 0, tokensPerSecond } = link?.served() ?? measured?.performance ?? {}
    return {
      requests: this.#countOn(link === undefined ? this.#counted.now : requests),
      running: link === undefined ? 0 : (link.running() ?? Number(isBusy)),
      ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
    }
  }

  /** A hub that was restarted begins with 0, and its participant does not. */
  #countOn(requests: number): number {
    if (requests < this.#counted.now) this.#counted.before += this.#counted.now
    this.#counted.now = requests
    return this.#counted.before + requests
  }

  /** Resolves once it is in the room. @throws as the hub's API; OutOfReach */
  async start(): Promise<void> {
    await this.#enrolment.recall()
    const room = await this.#room()
    for (;;) {
      try {
        await this.#joinSomehow()
        break
      } catch (error) {
        const { code, message, retryAfterMs } = refusalOf(error)
        if (!isStarting(code) || this.#over.signal.aborted) throw error
        this.#emit({ event: 'notice', message: `${message}: trying again` })
        await this.#backOff(retryAfterMs)
      }
    }
    this.#emitJoined(room)
    this.#become(this.#enrolment.participant?.paused === true ? 'paused' : 'online')
  }

  /** Resolves when it has left, or can't stay. */
  async stay(): Promise<End> {
    this.#watch()
    void this.#enrolment.tellSpecs()
    while (!this.#over.signal.aborted) {
      try {
        await this.#step()
      } catch (error) {
        await this.#mend(error)
      }
    }
    return this.#end ?? { reason: 'asked' }
  }

  /** @throws as the hub's API */
  async setPaused(paused: boolean): Promise<void> {
    await this.#enrolment.update({ paused })
    this.#become(paused ? 'paused' : 'online')
  }

  /** Takes nothing new, finishes what runs, and leaves. */
  async leave(): Promise<void> {
    if (this.#end !== undefined) return
    if (this.#enrolment.hasJoined) this.#become('leaving')
    const link = this.#link
    if (this.#isServing()) {
      await this.#enrolment.close()
      await link?.drain()
      this.#showServed()
    }
    await this.#enrolment.leave()
    await this.#seeOff(link)
    this.abandon()
  }

  /** A request may have begun while it said goodbye; behind it the hub sends none, and closes the link. */
  async #seeOff(link: Link | undefined): Promise<void> {
    if (link?.lost === undefined) return
    await Promise.race([link.lost, sleep(SEE_OFF_MS, undefined, { ref: false })])
    await link.drain()
  }

  /** Stops without a word to the hub, as a crash does. */
  abandon(): void {
    this.#finish('asked')
    this.#drop()
  }

  #emit(event: AgentEventData): void {
    this.#options.onEvent({ participantId: this.id, ...event })
  }

  #become(state: State, reason?: string): void {
    if (this.#state === state || this.#state === 'leaving') return
    this.#state = state
    this.#emit({ event: 'state', state, ...(reason === undefined ? {} : { reason }) })
  }

  #finish(reason: LeftReason, error?: unknown): void {
    const said = this.#state === 'leaving' ? 'asked' : reason
    this.#end ??= { reason: said, ...(error === undefined ? {} : { error }) }
    clearTimeout(this.#showing)
    this.#over.abort()
  }

  /** Until the next try; nothing but the end cuts it short. */
  async #backOff(atLeastMs?: number): Promise<void> {
    await sleep(this.#backoff.nextMs(atLeastMs), undefined, { signal: this.#over.signal }).catch(() => {})
  }

  /** Until the next beat, or until there is something new. */
  async #rest(): Promise<void> {
    if (!this.#isNudged) {
      this.#nudge = new AbortController()
      const signal = AbortSignal.any([this.#over.signal, this.#nudge.signal])
      await sleep(this.#options.beatMs ?? BEAT_MS, undefined, { signal }).catch(() => {})
    }
    this.#isNudged = false
  }

  #wake(): void {
    this.#isNudged = true
    this.#nudge.abort()
  }

  #room(): ReturnType<HubApi['room']> {
    return this.#options.hub.room(this.#options.place.code, { signal: this.#over.signal })
  }

  /** By another way, where this one is closed for good. */
  async #joinSomehow(): Promise<void> {
    try {
      await this.#join()
    } catch (error) {
      const { fallback } = this.#enrolment.transport
      if (fallback?.isFor(error) !== true) throw error
      this.#emit({ event: 'notice', message: fallback.notice(error) })
      this.#enrolment.transport = fallback.transport
      await this.#join()
    }
  }

  async #join(): Promise<void> {
    await this.#enrolment.join(this.#models)
    await this.#stand()
  }

  async #stand(): Promise<void> {
    this.#drop()
    const { transport, member } = this.#enrolment
    const link = await transport.open(member, this.#over.signal, {
      onActivity: () => this.#onActivity(),
      onChanged: () => this.#wake(),
    })
    this.#link = link
    this.#lost = undefined
    void link.lost?.then((lost) => this.#onLost(link, lost))
    this.#isMember = true
  }

  #onLost(link: Link, lost: LinkLost): void {
    if (this.#link !== link || this.#state === 'leaving') return
    this.#lost = lost
    this.#wake()
  }

  #drop(): void {
    // What it has served counts on.
    this.#countOn(this.#link?.served()?.requests ?? this.#counted.now)
    this.#link?.close()
    this.#link = undefined
  }

  /** Not before the hub has shown the participant: one that takes every join and then knows nobody would be joined without end. */
  #contact(): void {
    this.#heardAt = performance.now()
    this.#failures = 0
    this.#backoff.reset()
  }

  /** From wherever it is to serving, and on until something ends that. @throws whatever it was */
  async #step(): Promise<void> {
    if (this.#goneReason !== undefined) return this.#waitForServer(this.#goneReason)
    if (!this.#isMember) {
      await this.#join()
      this.#emitJoined(await this.#room())
    } else if (this.#link === undefined) await this.#stand()
    await this.#serve()
  }

  async #serve(): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        await this.#exchange()
      } catch (error) {
        if (!this.#isCarrying()) throw error
      }
      await this.#rest()
      if (this.#over.signal.aborted || this.#goneReason !== undefined) return
      if (this.#lost !== undefined) throw this.#lost
      await this.#link?.beat(this.#over.signal)
    }
  }

  /** What each has to tell the other. */
  async #exchange(): Promise<void> {
    const change = await this.#enrolment.announce(this.#models)
    if (change !== undefined) this.#emit({ event: 'models', models: this.#models, ...change })
    await this.#look()
  }

  /**
   * Requests run on a link that stands, and go on, whatever the hub's API says: it may be closing and take no calls, or another
   * hub have its port, or the room be closed. The hub itself ends the link when they have ended, and says why. One that shuts
   * down may send another.
   */
  #isCarrying(): boolean {
    const isStanding = this.#link?.lost !== undefined && this.#lost === undefined
    return isStanding && (this.#isServing() || this.#link?.isHubClosing?.() === true)
  }

  #isServing(): boolean {
    return (this.#link?.running() ?? 0) > 0
  }

  /** What the room says of it: others may pause it, and the hub measures it. */
  async #look(): Promise<void> {
    const seen = await this.#enrolment.look()
    this.#contact()
    this.#enrolment.participant = seen
    this.#measured = seen
    this.#become(seen.paused === true ? 'paused' : 'online')
    this.#showServed()
  }

  #showServed(): void {
    const served = this.served()
    const { requests, running } = served
    const shown = JSON.stringify([requests, running])
    const hasServed = this.#link?.running() === undefined && this.#shown !== '' && this.#shown !== shown
    this.#options.onServing?.(running > 0 || hasServed)
    if (this.#shown === shown) return
    this.#shown = shown
    this.#emit({ event: 'served', ...served })
  }

  /** A burst of requests is told as one. */
  #onActivity(): void {
    if (this.#isServing()) this.#options.onServing?.(true)
    this.#showing ??= setTimeout(() => {
      this.#showing = undefined
      if (!this.#over.signal.aborted) this.#showServed()
    }, SHOW_MS)
  }

  /** Its owner stopped it, or it crashed: the room must not send requests to it. */
  async #waitForServer(reason: string): Promise<void> {
    this.#drop()
    this.#become('away', reason)
    while (this.#goneReason !== undefined && !this.#over.signal.aborted) await this.#rest()
  }

  #watch(): void {
    const { server, headers, chosen, watchMs } = this.#options
    const set = (models: readonly string[], goneReason: string | undefined) => {
      this.#models = models
      this.#goneReason = goneReason
      this.#wake()
    }
    const onModels = (all: readonly string[]) => {
      const models = offered(all, chosen)
      set(models, models.length === 0 ? 'none of the chosen models is there' : undefined)
    }
    const onGone = (reason: string) => set(this.#models, reason)
    const isServing = () => this.#isServing()
    void watchServer({ server, headers, intervalMs: watchMs, isServing, onModels, onGone }, this.#over.signal)
  }

  /** Ends it, or waits until it is worth another try. */
  async #mend(error: unknown): Promise<void> {
    this.#drop()
    if (this.#over.signal.aborted) return
    const refusal = refusalOf(error)
    this.#failures += 1
    const reason = await this.#reasonToEnd(refusal.code)
    if (reason !== undefined) return this.#finish(reason)
    if (refusal.code === 'PTL_ROOM_NOT_FOUND') {
      this.#isMember = false
      this.#become('waiting', `the room ${this.#options.place.code} is gone`)
    } else if (isForgotten(refusal.code)) {
      this.#isMember = false
      this.#become('reconnecting', refusal.message)
    } else if (isPassing(refusal)) this.#become('reconnecting', refusal.message)
    else return this.#finish('refused', error)
    await this.#backOff(refusal.retryAfterMs)
  }

  async #reasonToEnd(code: string): Promise<LeftReason | undefined> {
    if (Object.hasOwn(ENDINGS, code)) return ENDINGS[code]
    if (code !== 'PTL_PARTICIPANT_NOT_FOUND') return undefined
    if (await this.#enrolment.isForgottenHere()) return 'asked'
    const isInContact = this.#failures === 1 && performance.now() - this.#heardAt < IN_CONTACT_MS
    return isInContact && (await this.#enrolment.isSameRoom()) ? 'removed' : undefined
  }

  #emitJoined({ name }: { name: string }): void {
    const { nickname, server, place } = this.#options
    // The hub need not be believed that it has another.
    const { code } = place
    this.#emit({
      event: 'joined',
      nickname,
      kind: server.kind,
      server: server.url,
      models: this.#models,
      room: { code, name },
      baseUrl: `${place.hub}/rooms/${code}/v1`,
      via: this.#enrolment.transport.via,
      specs: this.#enrolment.participant?.specs ?? {},
    })
  }
}

const ENDINGS: Readonly<Record<string, LeftReason>> = {
  PTL_LINK_LEFT: 'asked',
  PTL_LINK_REMOVED: 'removed',
  PTL_LINK_REPLACED: 'replaced',
}

/** The hub has no participant of that token. */
function isForgotten(code: string): boolean {
  return ['PTL_PARTICIPANT_NOT_FOUND', 'PTL_NOT_YOUR_PARTICIPANT', 'PTL_TOKEN_REQUIRED'].includes(code)
}

/** The hub is there, and is not ready; one that is not there at the first try was misspelt. */
function isStarting(code: string): boolean {
  return code === 'PTL_HUB_FAILED' || code === 'PTL_LINK_LOST'
}
