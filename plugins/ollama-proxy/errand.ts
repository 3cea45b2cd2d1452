import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import { ProxyFailed, RoomClosed } from '../../schemas/errors.ts'
import type { EventData, EventType } from '../../schemas/events.ts'
import { POTLUCK_HEADERS } from '../../schemas/headers.ts'
import type { EventBus } from '../event-bus/bus.ts'
import type { ParticipantRecord } from '../room-store/store.ts'
import type { Asking } from './asking.ts'
import type { Breakers } from './choosing/breaker.ts'
import type { HiddenQueues } from './choosing/hidden-queue.ts'
import type { Asker, Grant, Scheduler } from './choosing/scheduler.ts'
import type { Directory, KindEntry, OpenRoom } from './directory.ts'
import { Forward, type Outcome } from './forward.ts'
import { type HeaderList, listOf, objectOf, upstreamHeaders } from './headers.ts'
import { KeepAlive } from './keep-alive.ts'
import type { Makers } from './makers.ts'
import { Meter, round } from './meter.ts'
import type { Performances } from './performance.ts'
import type { ForwardRequest, ProxyLimits, Served } from './proxy.ts'
import { type ClientCounts, type QueueLimits, waitForTurn } from './queueing.ts'
import { findManager, makerOf } from './routing.ts'
import type { Unspoken } from './unspoken.ts'
import { RefusedAnswer } from './upstream-errors.ts'

/** What all requests share. */
export interface ErrandTools {
  events: Pick<EventBus, 'publishToRoom'>
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Clock
  limits: ProxyLimits
  queue: QueueLimits
  counts: ClientCounts
  scheduler: Scheduler
  directory: Directory
  breakers: Breakers
  makers: Makers
  unspoken: Unspoken
  performances: Performances
  hiddenQueues: HiddenQueues
  /** `via` of a request that went through this hub. */
  via: string
  onServed(errand: Errand, served: Served): void
}

/** Whom a request goes to now. */
interface Attempt {
  readonly record: ParticipantRecord
  readonly model: string
  readonly reason: string
  /** When it began, ms. */
  readonly at: number
  /** Of the prompt, what is not in the participant's cache. */
  readonly coldBytes: number
  /** Requests that run there already. */
  readonly beside: number
  release(): void
}

/** Answers on which somebody else is asked: the server is overloaded or broken, the request is not at fault. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 500, 502, 503, 504])

/** Between two attempts at the same participant, ms; spread, so that many who failed at once don't come back at once. */
const RETRY_PAUSE_MS = { least: 200, most: 600 } as const

/** So long a participant may ask to be left alone while an alias has another model to go on to, ms. */
const SHORT_PAUSE_MS = 1000

/** Whether somebody else is free by now is looked at so often, while a first token is late, ms. */
const LATE_LOOK_MS = 1000

/** Why a participant was left although it may still be at work. */
class LateFirstToken extends RefusedAnswer {}

/** One request on its way: it waits for its turn, is forwarded, and where that fails goes on to somebody else. */
export class Errand {
  readonly request: ForwardRequest
  readonly asking: Asking
  readonly startedAt: number
  readonly #tools: ErrandTools
  readonly #keepAlive: KeepAlive
  readonly #tried = new Set<string>()
  /** Participants that could not make sense of it. */
  readonly #barred = new Set<string>()
  #attempts = 0
  #queuedMs = 0
  /** Of an alias, the place in its list of models. */
  #index = 0
  /** The same participant was asked again. */
  #isRepeated = false
  #forward: Forward | undefined
  #givenUp: ((reason: Error) => void) | undefined
  /** Why it was ended from this side, where it was. */
  #ended: Error | undefined
  #isQueued = false
  /** A window of so many tokens was too small. */
  #leastTokens = 0
  /** What came of an attempt that was to be followed by another. */
  #unserved: Served | undefined
  /** Its room was closed: nobody is left to tell. */
  isRoomClosed = false

  constructor(request: ForwardRequest, asking: Asking, startedAt: number, tools: ErrandTools) {
    this.request = request
    this.asking = asking
    this.startedAt = startedAt
    this.#tools = tools
    const { response, protocol, replyHeaders, onTakeOver } = request
    this.#keepAlive = new KeepAlive({
      response,
      protocol,
      intervalMs: asking.stream ? tools.limits.streamKeepAliveMs : 0,
      headers: () => [...listOf(replyHeaders), ...this.#ownHeaders()],
      onTakeOver,
    })
  }

  /** Resolves when it has ended. @throws an error of the catalogue while nothing has been sent to the client */
  async run(room: OpenRoom, asker: Asker): Promise<void> {
    try {
      await this.#run(room, asker)
    } catch (error) {
      // Either way it was said to go on.
      if (this.#isQueued || this.#unserved !== undefined) this.#announceLeft(error as Error)
      if (error instanceof GivenUp) return
      if (!this.#keepAlive.hasBegun) {
        this.request.onRefused(objectOf(this.#ownHeaders()))
        throw error
      }
      const {
        statusCode = 502,
        code = 'PTL_PROXY_FAILED',
        message,
      } = error as Error & { statusCode?: number; code?: string }
      this.#keepAlive.fail({ statusCode, code, message })
    } finally {
      this.#keepAlive.stop()
      if (this.#unserved !== undefined) this.#tools.onServed(this, this.#unserved)
    }
  }

  /** Ends it from this side: the hub shuts down, the room is closed. */
  abort(reason: Error): void {
    this.#ended ??= reason
    this.#givenUp?.(reason)
    this.#forward?.abort(reason)
  }

  async #run(room: OpenRoom, asker: Asker): Promise<void> {
    const appointed = this.#appointed(room)
    if (appointed !== undefined) {
      const failure = await this.#attempt(appointed, () => false)
      if (failure !== undefined) throw failure.error
      return
    }
    let entry: KindEntry | undefined = this.#firstEntry(room)
    this.#index = entry.index
    while (entry !== undefined) {
      const grant = await this.#turn(entry, asker)
      const record = room.recordOf(grant.key) ?? (await this.#reopened(grant))
      this.#endIfOver(grant)
      if (record === undefined) {
        grant.release()
        entry = this.#next(room)
        continue
      }
      const { model, reason, release } = grant
      const coldBytes = Math.max(0, (asker.prefix?.bytes ?? 0) - grant.warmBytes)
      const attempt = {
        record,
        model,
        reason,
        release,
        at: this.#tools.clock.elapsed(),
        coldBytes,
        beside: grant.beside,
      }
      const failure = await this.#attempt(attempt, (why) => this.#hasNext(room, attempt, why))
      if (failure === undefined) return
      entry = await this.#afterFailure(room, record, failure)
    }
  }

  /** In the moment between its turn and the participant nobody else listens. */
  #endIfOver(grant: Grant): void {
    const over = this.#ended ?? (this.request.response.destroyed ? new GivenUp() : undefined)
    if (over === undefined) return
    grant.release()
    this.#isQueued ||= this.#attempts === 0
    throw over
  }

  /** It joined while the request waited. */
  async #reopened({ key, release }: Grant): Promise<ParticipantRecord | undefined> {
    try {
      return (await this.#tools.directory.open(this.request.room, this.asking.needs)).recordOf(key)
    } catch (error) {
      release()
      throw error
    }
  }

  /** Some requests are for one participant alone, whoever is free. */
  #appointed({ records }: OpenRoom): Attempt | undefined {
    const { endpoint, targetId, headers, room } = this.request
    const { makers } = this.#tools
    if (endpoint.goesToMaker === true && targetId !== undefined)
      return alone(makerOf(makers.find(room.room.id, targetId), targetId, records))
    if (endpoint.manages !== true) return undefined
    const named = headers[POTLUCK_HEADERS.participant]
    return alone(findManager(typeof named === 'string' ? named : undefined, records))
  }

  /** What goes on from something made before goes to whoever made it. */
  #firstEntry(room: OpenRoom): KindEntry {
    const { continues, model } = this.asking
    const roomId = this.request.room.room.id
    const maker = continues === undefined ? undefined : this.#tools.makers.find(roomId, continues)
    if (maker === undefined) return this.#firstOfMany(room)
    const { record } = makerOf(maker, continues, room.records)
    for (const { key } of room.records) if (key !== record.key) this.#barred.add(key)
    for (const key of this.#barred) this.#tried.add(key)
    return room.first(model, this.#barred)
  }

  /** Whose servers don't have the path are asked where nobody else is left: they may have been updated. */
  #firstOfMany(room: OpenRoom): KindEntry {
    const { model } = this.asking
    const { unspoken } = this.#tools
    const { path } = this.request.endpoint
    const lacking = unspoken.isEmpty ? [] : room.records.filter((record) => unspoken.isUnspoken(record, path))
    if (lacking.length === 0) return room.first(model)
    for (const { key } of lacking) this.#barred.add(key)
    try {
      const entry = room.first(model, this.#barred)
      for (const key of this.#barred) this.#tried.add(key)
      return entry
    } catch {
      this.#barred.clear()
      return room.first(model)
    }
  }

  async #turn(entry: KindEntry, asker: Asker): Promise<Grant> {
    const { scheduler, queue, directory, clock } = this.#tools
    const { room, requestId } = this.request
    const since = clock.elapsed()
    const turn = waitForTurn({
      scheduler,
      limits: queue,
      counts: this.#tools.counts,
      roomId: room.room.id,
      entry,
      asker,
      isRetry: this.#attempts > 0,
      waitedMs: this.#queuedMs,
      refusal: () => directory.refusalIn(room, this.asking.model),
      onGivenUp: (callback) => this.#whenGivenUp(callback),
      onQueued: (position) => {
        this.#isQueued = true
        this.#publish('llm:queued', { requestId, model: this.asking.model, position })
      },
    })
    if (!(turn instanceof Promise)) return turn
    try {
      const grant = await turn
      this.#isQueued = false
      return grant
    } finally {
      this.#queuedMs += clock.elapsed() - since
    }
  }

  #whenGivenUp(callback: (reason: Error) => void): () => void {
    const { response } = this.request
    const onClose = () => callback(new GivenUp())
    response.once('close', onClose)
    this.#givenUp = callback
    return () => {
      response.off('close', onClose)
      this.#givenUp = undefined
    }
  }

  // --- what comes after a failure

  #hasNext(room: OpenRoom, { record, model }: Attempt, why: Setback): boolean {
    if (this.#attempts >= this.#mostAttempts()) return false
    if (why.isTooLong === true) return this.#wider(room, record, model) !== undefined
    if (why.lacksPath === true) return this.#another(room, record) !== undefined
    return this.#mayRepeat(why) || this.#another(room, record) !== undefined
  }

  /** Somebody with a larger window, where the participant's own is known; else anybody whose window is not. */
  #wider(room: OpenRoom, record: ParticipantRecord, model: string): KindEntry | undefined {
    if (this.#attempts >= this.#mostAttempts()) return undefined
    const least = Math.max(this.#leastTokens, (room.windowOf(record, model) ?? this.asking.needs.promptTokens) + 1)
    return room.find(this.asking.model, this.#index, new Set([...this.#tried, record.key]), least)
  }

  #another(room: OpenRoom, { key }: ParticipantRecord): KindEntry | undefined {
    return room.find(this.asking.model, this.#index, new Set([...this.#tried, key]), this.#leastTokens)
  }

  /** Silence is not asked twice, and nobody is asked a third time. */
  #mayRepeat({ wasSilent, retryAfterMs = 0 }: Setback): boolean {
    return !this.#isRepeated && !wasSilent && retryAfterMs <= this.#tools.queue.waitMs - this.#queuedMs
  }

  #mostAttempts(): number {
    // What is passed on as it comes is gone once it was sent; what is not about generating is the participant's own.
    return this.asking.isOnce || this.request.endpoint.isQuiet === true ? 1 : this.#tools.limits.maxAttempts
  }

  /** Another one of the same model, then the same one once more, then the alias's next model. */
  async #afterFailure(room: OpenRoom, record: ParticipantRecord, failure: Failure): Promise<KindEntry | undefined> {
    if (failure.isFinal) throw failure.error
    if (failure.isTooLong === true) {
      const wider = this.#wider(room, record, failure.model)
      if (wider === undefined) throw failure.error
      this.#leastTokens = Math.max(this.#leastTokens, (room.windowOf(record, failure.model) ?? 0) + 1)
      this.#tried.add(record.key)
      this.#index = wider.index
      return wider
    }
    const another = this.#another(room, record)
    this.#tried.add(record.key)
    if (another?.index === this.#index) return another
    if (failure.lacksPath === true && another !== undefined) return this.#goTo(another)
    // Whoever asks for a pause while somebody else could serve does not hold everybody up.
    const isWorthIt = another === undefined || (failure.retryAfterMs ?? 0) <= SHORT_PAUSE_MS
    if (isWorthIt && this.#mayRepeat(failure)) {
      const again = await this.#again(room, record, failure, another === undefined)
      if (again !== undefined) return this.#goTo(again)
    }
    if (another === undefined) throw failure.error
    return this.#goTo(another)
  }

  #next(room: OpenRoom): KindEntry {
    return this.#goTo(
      room.find(this.asking.model, this.#index, this.#tried) ?? room.first(this.asking.model, this.#barred),
    )
  }

  #goTo(entry: KindEntry): KindEntry {
    this.#index = entry.index
    return entry
  }

  async #again(
    room: OpenRoom,
    { key }: ParticipantRecord,
    { retryAfterMs }: Setback,
    isLast: boolean,
  ): Promise<KindEntry | undefined> {
    this.#isRepeated = true
    const pauseMs = retryAfterMs ?? randomInt(RETRY_PAUSE_MS.least, RETRY_PAUSE_MS.most)
    this.#queuedMs += pauseMs
    await this.#pause(pauseMs)
    this.#tried.delete(key)
    // However often it failed: nobody else is left.
    if (isLast) this.#tools.breakers.closeEarly(key)
    return room.find(this.asking.model, this.#index, this.#tried)
  }

  async #pause(ms: number): Promise<void> {
    const abort = new AbortController()
    const stop = this.#whenGivenUp((reason) => abort.abort(reason))
    try {
      await sleep(ms, undefined, { signal: abort.signal, ref: false })
    } catch {
      throw abort.signal.reason
    } finally {
      stop()
    }
  }

  // --- one attempt

  /** @returns undefined where it has ended, one way or another */
  async #attempt(attempt: Attempt, mayTryAnother: (why: Setback) => boolean): Promise<Failure | undefined> {
    this.#attempts += 1
    this.#announceStart(attempt)
    const forward = this.#dispatch(attempt, mayTryAnother)
    const stopWatching = this.#watchFirstToken(forward, attempt)
    const outcome = await forward.outcome
    stopWatching()
    this.#forward = undefined
    if (outcome.kind === 'refused' && !forward.isStarted) {
      const message = `${nameOf(attempt.record)}: ${outcome.reason}`
      this.#keepAlive.fail({ statusCode: outcome.statusCode, code: 'PTL_PROXY_FAILED', message })
    }
    if (outcome.kind === 'passed') {
      const error = new ProxyFailed(`${nameOf(attempt.record)}: ${outcome.reason}`)
      return { error, model: attempt.model, isFinal: false, ...setbackOf(outcome) }
    }
    if (outcome.kind !== 'failed' || outcome.stage === 'stream') return undefined
    const { error: cause } = outcome
    const error = isCatalogued(cause)
      ? cause
      : new ProxyFailed(`${nameOf(attempt.record)}: ${outcome.reason}`, { cause })
    return { error, model: attempt.model, isFinal: this.#unserved === undefined, ...setbackOf(outcome) }
  }

  #dispatch(attempt: Attempt, mayTryAnother: (why: Setback) => boolean): Forward {
    const { record, model } = attempt
    const { request, asking, startedAt } = this
    const { protocol, endpoint, room } = request
    const { clock, limits, makers, unspoken, dispatcherFor, via } = this.#tools
    const meter = new Meter({ protocol, startedAt, sentAt: clock.elapsed(), requestBytes: asking.textBytes })
    const forward = new Forward({
      response: request.response,
      protocol,
      meter,
      now: () => clock.elapsed(),
      startedAt,
      replyHeaders: [...listOf(request.replyHeaders), ...this.#ownHeaders(attempt)],
      onTakeOver: (hasBegun) => {
        this.#keepAlive.stop()
        if (!hasBegun) request.onTakeOver()
      },
      onOther: () => this.#keepAlive.stop(),
      stallMs: limits.stallMs,
      firstByteMs: limits.firstByteMs,
      discards: (statusCode, retryAfterMs) =>
        RETRYABLE.has(statusCode) &&
        mayTryAnother({ wasSilent: false, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }),
      mayWiden: () => mayTryAnother({ wasSilent: false, isTooLong: true }),
      onNoPath: (isSaid) => {
        // Where something made before is named it may be about that, however it is said.
        const isAboutPath = isSaid && asking.continues === undefined && request.targetId === undefined
        if (isAboutPath) unspoken.note(record, endpoint.path)
        return mayTryAnother({ wasSilent: false, lacksPath: true })
      },
      onSettled: (outcome) => {
        this.#measure(attempt, outcome, meter)
        this.#settle(attempt, outcome, mayTryAnother)
      },
      who: nameOf(record),
      ...(protocol.readId === undefined ? {} : { onMade: (id: string) => makers.note(room.room.id, id, record.key) }),
    })
    this.#forward = forward
    const outgoing = asking.outgoingFor(model, { ...room.defaults, ...record.participant.config })
    const headers = { ...upstreamHeaders(request.headers, via), ...outgoing.headers }
    const path = `${record.target.basePath}${pathOf(request)}`
    const timeouts = { headersTimeout: limits.firstByteMs, bodyTimeout: limits.idleMs }
    const { method } = endpoint
    dispatcherFor(record).dispatch(
      // undici takes what can be iterated, its types name streams alone.
      { origin: record.target.origin, path, method, headers, body: outgoing.body as Buffer | null, ...timeouts },
      forward,
    )
    return forward
  }

  /** Of a stream the first token may be waited for only so long, while somebody else could serve. */
  #watchFirstToken(forward: Forward, { record }: Attempt): () => void {
    const { limits, directory } = this.#tools
    if (!this.asking.stream || this.#attempts >= this.#mostAttempts()) return () => {}
    let repeat: NodeJS.Timeout | undefined
    const look = async (): Promise<void> => {
      if (forward.isStarted) clearInterval(repeat)
      if (forward.isStarted || this.isRoomClosed) return
      const room = await directory.open(this.request.room, this.asking.needs)
      const others = room.find(this.asking.model, this.#index, new Set([...this.#tried, record.key]))
      if (forward.isStarted || others === undefined || others.kind.isFull) return
      forward.abort(
        new LateFirstToken(`No first token within ${limits.firstTokenMs / 1000} s, and somebody else is free`),
      )
    }
    const first = setTimeout(() => {
      // Where a look fails there is another one.
      const lookOnce = () => void look().catch(() => {})
      repeat = setInterval(lookOnce, LATE_LOOK_MS).unref()
      lookOnce()
    }, limits.firstTokenMs).unref()
    return () => {
      clearTimeout(first)
      clearInterval(repeat)
    }
  }

  /** The first byte of a stream tells how fast the prompt was read. */
  #measure({ record, at, coldBytes, beside }: Attempt, outcome: Outcome, { firstByteAt }: Meter): void {
    if (outcome.kind !== 'complete' || firstByteAt === undefined) return
    const { performances, hiddenQueues, clock } = this.#tools
    const { key } = record
    const { isQuiet } = this.request.endpoint
    const isCounted = isQuiet !== true && this.request.protocol.generates !== false
    if (isCounted) performances.note(key, { ...outcome.metrics, ttftMs: round(firstByteAt - at) })
    if (!this.asking.stream) return
    if (coldBytes > 0) performances.noteReading(key, firstByteAt - at, coldBytes)
    hiddenQueues.note({ key, sentAt: at, firstAt: firstByteAt, endedAt: clock.elapsed(), beside })
  }

  /** In the moment of an attempt's end: first the account, then what the client sees. */
  #settle(attempt: Attempt, outcome: Outcome, mayTryAnother: (why: Setback) => boolean): void {
    const { breakers } = this.#tools
    const { key } = attempt.record
    attempt.release()
    // What is not about generating says nothing of whether it can; nor does a prompt that takes its time.
    if (isFailure(outcome) && this.request.endpoint.isQuiet !== true) breakers.failed(key)
    else if (isAnswer(outcome)) breakers.succeeded(key)
    const isRetrying = isRetryable(outcome) && mayTryAnother(setbackOf(outcome))
    this.#announceEnd(attempt, outcome, isRetrying)
    const served = this.#servedBy(attempt, outcome)
    this.#unserved = isRetrying ? served : undefined
    if (!isRetrying) this.#tools.onServed(this, served)
  }

  #servedBy({ record }: Attempt, outcome: Outcome): Served {
    const { clock } = this.#tools
    const forward = this.#forward
    return {
      participantId: record.participant.id,
      key: record.key,
      protocol: this.request.protocol.name,
      model: this.asking.model,
      stream: this.asking.stream,
      queuedMs: round(this.#queuedMs),
      attempts: this.#attempts,
      durationMs: clock.elapsed() - this.startedAt,
      outcome,
      usage: () => forward?.usage,
    }
  }

  // --- what is told

  #publish<T extends EventType>(type: T, data: EventData<T>): void {
    // Of a closed room nobody is left to tell, and the bus has forgotten it.
    if (this.request.endpoint.isQuiet === true || this.isRoomClosed) return
    this.#tools.events.publishToRoom(this.request.room.room.id, type, data)
  }

  #announceStart({ record, model, reason }: Attempt): void {
    const { requestId, protocol } = this.request
    this.#publish('llm:request', {
      participantId: record.participant.id,
      model: this.asking.model,
      servedModel: model,
      requestId,
      protocol: protocol.name,
      stream: this.asking.stream,
      attempt: this.#attempts,
      queuedMs: round(this.#queuedMs),
      reason,
    })
  }

  #announceEnd({ record, model }: Attempt, outcome: Outcome, retrying: boolean): void {
    const { requestId, protocol } = this.request
    const participantId = record.participant.id
    const about = { participantId, requestId, protocol: protocol.name }
    if (outcome.kind === 'complete') {
      const models = { model: this.asking.model, servedModel: model }
      this.#publish('llm:complete', { ...about, ...models, metrics: outcome.metrics })
    } else if (outcome.kind === 'cancelled') {
      this.#publish('llm:cancelled', { participantId, requestId, durationMs: outcome.durationMs })
    } else {
      const stage = outcome.kind === 'failed' ? outcome.stage : 'answer'
      this.#publish('llm:error', { ...about, error: outcome.reason, stage, retrying })
    }
  }

  /** The client went away, or the wait ended, before anybody was asked. */
  #announceLeft(error: Error): void {
    const { requestId, protocol } = this.request
    // Of a closed room nobody is left to tell, even before `isRoomClosed` says so.
    if (error instanceof RoomClosed) return
    if (error instanceof GivenUp) {
      this.#publish('llm:cancelled', { requestId, durationMs: round(this.#tools.clock.elapsed() - this.startedAt) })
    } else {
      const about = { requestId, protocol: protocol.name, stage: 'queue', retrying: false }
      this.#publish('llm:error', { ...about, error: error.message })
    }
  }

  #ownHeaders(attempt?: Attempt): HeaderList {
    const { participant, model, reason, attempts, queueMs, requestId } = POTLUCK_HEADERS
    const headers: HeaderList = [
      attempts,
      String(this.#attempts),
      queueMs,
      String(Math.round(this.#queuedMs)),
      requestId,
      this.request.requestId,
      ...SAFE,
    ]
    if (attempt === undefined) return headers
    headers.push(participant, attempt.record.participant.id, model, printable(attempt.model), reason, attempt.reason)
    return headers
  }
}

const SAFE: Readonly<HeaderList> = [
  // An answer is a stranger's: a browser must neither guess its type nor run it as a page of the hub.
  'content-security-policy',
  'sandbox',
  'x-content-type-options',
  'nosniff',
  // Buffering proxies (nginx) would hold back a stream.
  'x-accel-buffering',
  'no',
]

/** The client went away while it waited. */
export class GivenUp extends Error {}

/** How an attempt failed, as far as it matters for the next. */
interface Setback {
  /** It said nothing for as long as it may. */
  readonly wasSilent: boolean
  /** It said when to come back. */
  readonly retryAfterMs?: number
  /** Its context window was too small. */
  readonly isTooLong?: boolean
  /** Its server does not have the path. */
  readonly lacksPath?: boolean
}

interface Failure extends Setback {
  /** What the participant calls the model. */
  readonly model: string
  readonly error: Error
  /** Nobody else may be asked. */
  readonly isFinal: boolean
}

function setbackOf(outcome: Outcome): Setback {
  if (outcome.kind === 'failed') return { wasSilent: wasSilent(outcome.error) }
  if (outcome.kind !== 'passed') return { wasSilent: false }
  const { retryAfterMs, isTooLong = false, lacksPath = false } = outcome
  return { wasSilent: false, isTooLong, lacksPath, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** Also a refusal is one: the server works. */
function isAnswer(outcome: Outcome): boolean {
  return (
    outcome.kind === 'complete' || outcome.kind === 'refused' || (outcome.kind === 'passed' && isOnlyUnfit(outcome))
  )
}

/** It works, and this request is nothing for it. */
function isOnlyUnfit({ isTooLong, lacksPath }: Outcome & { kind: 'passed' }): boolean {
  return isTooLong === true || lacksPath === true
}

function isRetryable(outcome: Outcome): boolean {
  if (outcome.kind === 'passed') return true
  return outcome.kind === 'failed' && outcome.stage !== 'stream' && !isCatalogued(outcome.error)
}

/** Whether it speaks against the participant; where nobody else is left, such an answer is passed on all the same. */
function isFailure(outcome: Outcome): boolean {
  if (outcome.kind === 'refused') return RETRYABLE.has(outcome.statusCode)
  if (outcome.kind === 'passed') return !isOnlyUnfit(outcome)
  return outcome.kind === 'failed' && !isCatalogued(outcome.error) && !(outcome.error instanceof LateFirstToken)
}

/** Of the hub's own errors, each says for itself what to do. */
function isCatalogued(error: Error | undefined): boolean {
  return (error as { code?: string } | undefined)?.code?.startsWith('PTL_') === true && 'statusCode' in (error as Error)
}

/** Or it would do the same again. */
function wasSilent(error: Error): boolean {
  const { code } = error as { code?: string }
  return error instanceof RefusedAnswer || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT'
}

function alone({ record, model }: { record: ParticipantRecord; model: string }): Attempt {
  return { record, model, reason: 'only', release: () => {}, at: 0, coldBytes: 0, beside: 0 }
}

function pathOf({ endpoint, targetId, search }: ForwardRequest): string {
  const path = targetId === undefined ? endpoint.path : endpoint.path.replace(':id', encodeURIComponent(targetId))
  return `${path}${search}`
}

function nameOf({ participant }: ParticipantRecord): string {
  return participant.nickname === participant.id ? participant.id : `${participant.nickname} (${participant.id})`
}

/** A model's name may have any letters; in a header those beyond ASCII are escaped (RFC 3986 §2.1). */
function printable(name: string): string {
  return name.replace(/[^\x20-\x7e]+/g, (letters) => encodeURIComponent(letters.toWellFormed()))
}
