import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import { HubClosing, LoopDetected, ProxyFailed, RoomClosed } from '../../schemas/errors.ts'
import { POTLUCK_HEADERS } from '../../schemas/headers.ts'
import type { Performance } from '../../schemas/participant.ts'
import type { EventBus } from '../event-bus/bus.ts'
import type { ParticipantRecord, RoomRecord, RoomStore } from '../room-store/store.ts'
import { type Asking, readRequest } from './asking.ts'
import { type Choice, createBalancer } from './balancer.ts'
import { Forward, type Outcome } from './forward.ts'
import { upstreamHeaders } from './headers.ts'
import { createMakers } from './makers.ts'
import { Meter } from './meter.ts'
import { createPerformances } from './performance.ts'
import type { Endpoint, Protocol, Usage } from './protocols/protocol.ts'
import { findCandidates, findManager, makerOf } from './routing.ts'
import { type Upload, UploadBroken } from './upload.ts'

export interface ProxyTimeouts {
  /** From the last byte of the request to the headers of the answer; loading a large model takes minutes. */
  firstByteMs: number
  /** Between two pieces of an answer. */
  idleMs: number
  /** How long a client may read nothing of an answer that is there. */
  stallMs: number
}

export interface ProxyOptions {
  rooms: Pick<RoomStore, 'listParticipants'>
  events: Pick<EventBus, 'publishToRoom'>
  /** How to reach a participant: an endpoint or a tunnel, the proxy does not know which. */
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Clock
  timeouts: ProxyTimeouts
  /** Bodies that are passed on as they come may have so many bytes; those that are held were bounded before. */
  bodyLimit: number
  /** How long requests may go on when their room is closed or the hub shuts down. */
  graceMs: number
  /** Names this hub in `via`; unique among hubs. */
  hubId: string
  /** Sees what became of each request that generated something. @default nobody does */
  observe?(served: Served): void
}

export interface ForwardRequest {
  room: RoomRecord
  protocol: Protocol
  endpoint: Endpoint
  /** What the path names, where it names something: a response. */
  targetId?: string
  /** The query with its `?`, or nothing. */
  search: string
  body: Buffer | Upload
  headers: IncomingHttpHeaders
  requestId: string
  response: ServerResponse
  /** Headers that every answer of the hub carries (CORS). */
  replyHeaders: OutgoingHttpHeaders
  onTakeOver(): void
  /** Called once for a request that reached a participant, before `forward` resolves or throws. */
  onServed(served: Served): void
}

/** What became of a request, for the log: no word of its content. */
export interface Served {
  participantId: string
  protocol: string
  /** What the client wrote. */
  model: string
  stream: boolean
  durationMs: number
  outcome: Outcome
  /** What was read and written, also of an answer that broke off or that nobody waited for. */
  usage(): Usage | undefined
}

interface InFlight {
  readonly roomId: string
  isRoomClosed: boolean
}

export type InferenceProxy = ReturnType<typeof createProxy>

/** Brings inference requests to a participant and the answer back, byte for byte. */
export function createProxy(options: ProxyOptions) {
  const { rooms, events, dispatcherFor, clock, timeouts, bodyLimit, graceMs, hubId, observe } = options
  const balancer = createBalancer()
  const makers = createMakers()
  const performances = createPerformances()
  const inFlight = new Map<Forward, InFlight>()
  const via = `1.1 ${hubId}`
  let isClosing = false

  function announceStart(request: ForwardRequest, asking: Asking, { candidate, reason }: Choice): void {
    if (request.endpoint.isQuiet === true) return
    events.publishToRoom(request.room.room.id, 'llm:request', {
      participantId: candidate.record.participant.id,
      model: asking.model,
      servedModel: candidate.model,
      requestId: request.requestId,
      protocol: request.protocol.name,
      stream: asking.stream,
      attempt: 1,
      queuedMs: 0,
      reason,
    })
  }

  function announceEnd(request: ForwardRequest, asking: Asking, { candidate }: Choice, outcome: Outcome): void {
    if (request.endpoint.isQuiet === true) return
    const { requestId, protocol } = request
    const roomId = request.room.room.id
    const participantId = candidate.record.participant.id
    const about = { participantId, requestId, protocol: protocol.name }
    if (outcome.kind === 'complete') {
      const models = { model: asking.model, servedModel: candidate.model }
      events.publishToRoom(roomId, 'llm:complete', { ...about, ...models, metrics: outcome.metrics })
    } else if (outcome.kind === 'cancelled') {
      const { durationMs } = outcome
      events.publishToRoom(roomId, 'llm:cancelled', { participantId, requestId, durationMs })
    } else {
      const stage = outcome.kind === 'failed' ? outcome.stage : 'answer'
      events.publishToRoom(roomId, 'llm:error', { ...about, error: outcome.reason, stage, retrying: false })
    }
  }

  function measure({ protocol, endpoint }: ForwardRequest, { candidate }: Choice, served: Served): void {
    if (endpoint.isQuiet === true) return
    const { outcome } = served
    if (outcome.kind === 'complete' && protocol.generates !== false)
      performances.note(candidate.record.key, outcome.metrics)
    observe?.(served)
  }

  async function endAfterGrace(forwards: readonly Forward[], reason: Error): Promise<void> {
    const timer = setTimeout(() => {
      for (const forward of forwards) forward.abort(reason)
    }, graceMs)
    await Promise.all(forwards.map((forward) => forward.outcome))
    clearTimeout(timer)
  }

  function choose(request: ForwardRequest, asking: Asking, records: readonly ParticipantRecord[]): Choice {
    const { room, endpoint, headers, targetId } = request
    const madeBy = targetId ?? asking.continues
    const maker = madeBy === undefined ? undefined : makers.find(room.room.id, madeBy)
    if (endpoint.goesToMaker === true) return balancer.choose([makerOf(maker, madeBy, records)])
    if (endpoint.manages === true) {
      const named = headers[POTLUCK_HEADERS.participant]
      return balancer.choose([findManager(typeof named === 'string' ? named : undefined, records)])
    }
    const able = maker === undefined ? records : [makerOf(maker, madeBy, records).record]
    const [[first, ...others]] = findCandidates(asking.model, able, room.aliases)
    return balancer.choose([first as NonNullable<typeof first>, ...others])
  }

  function dispatch(
    request: ForwardRequest,
    asking: Asking,
    choice: Choice,
    startedAt: number,
    onSettled: (outcome: Outcome) => void,
  ): Forward {
    const { protocol, endpoint, room } = request
    const { record, model } = choice.candidate
    const forward = new Forward({
      response: request.response,
      protocol,
      meter: new Meter({ protocol, startedAt, requestBytes: asking.textBytes }),
      now: () => clock.elapsed(),
      startedAt,
      replyHeaders: { ...request.replyHeaders, ...ownHeaders(request, choice) },
      onTakeOver: request.onTakeOver,
      stallMs: timeouts.stallMs,
      firstByteMs: timeouts.firstByteMs,
      onSettled,
      who: nameOf(record),
      ...(protocol.readId === undefined ? {} : { onMade: (id: string) => makers.note(room.room.id, id, record.key) }),
    })
    const outgoing = asking.outgoingFor(model, { ...room.defaults, ...record.participant.config })
    const headers = { ...upstreamHeaders(request.headers, via), ...outgoing.headers }
    const path = `${record.target.basePath}${pathOf(request)}`
    const limits = { headersTimeout: timeouts.firstByteMs, bodyTimeout: timeouts.idleMs }
    const { method } = endpoint
    dispatcherFor(record).dispatch(
      // undici takes what can be iterated, its types name streams alone.
      { origin: record.target.origin, path, method, headers, body: outgoing.body as Buffer | null, ...limits },
      forward,
    )
    return forward
  }

  return {
    /**
     * Chooses a participant and forwards the request; resolves when it has ended.
     * @throws an error of the catalogue while nothing has been sent to the client: unusable request, nobody to serve it
     * (`PTL_NO_PARTICIPANT`, `PTL_PARTICIPANT_OFFLINE`), or a participant that failed (`PTL_PROXY_FAILED`)
     */
    async forward(request: ForwardRequest): Promise<void> {
      const startedAt = clock.elapsed()
      const { room, protocol, endpoint, headers, body, response } = request
      if (hasPassed(headers.via, hubId)) throw new LoopDetected()
      const asking = await readRequest({ protocol, endpoint, headers, body, limitBytes: bodyLimit }).catch(unlessGone)
      if (asking === undefined) return
      const records = await rooms.listParticipants(room.room.id)
      if (isClosing) throw new HubClosing()
      if (response.destroyed) return
      const choice = choose(request, asking, records)
      announceStart(request, asking, choice)
      const { record } = choice.candidate
      const entry = { roomId: room.room.id, isRoomClosed: false }
      const forward: Forward = dispatch(request, asking, choice, startedAt, (outcome) => {
        choice.release()
        // Of a closed room nobody is left to tell, and the bus has forgotten it.
        if (!entry.isRoomClosed) announceEnd(request, asking, choice, outcome)
        const served: Served = {
          participantId: record.participant.id,
          protocol: protocol.name,
          model: asking.model,
          stream: asking.stream,
          durationMs: clock.elapsed() - startedAt,
          outcome,
          usage: () => forward.usage,
        }
        measure(request, choice, served)
        request.onServed(served)
      })
      inFlight.set(forward, entry)
      const outcome = await forward.outcome
      inFlight.delete(forward)
      if (outcome.kind === 'failed' && outcome.stage !== 'stream') throw failure(record, outcome)
    },

    /** Requests that have not ended yet. */
    get inFlight(): number {
      return inFlight.size
    },

    /** How fast a participant has been lately; undefined where it has served nothing yet. */
    performanceOf({ key }: ParticipantRecord): Performance | undefined {
      return performances.of(key)
    },

    /** The room is closed: what runs may finish, and after the grace period ends with an error that says so. */
    endRoom(roomId: string): void {
      makers.forgetRoom(roomId)
      const ofRoom = [...inFlight].filter(([, entry]) => entry.roomId === roomId)
      for (const [, entry] of ofRoom) entry.isRoomClosed = true
      const forwards = ofRoom.map(([forward]) => forward)
      void endAfterGrace(forwards, new RoomClosed())
    },

    /** Takes nothing new, lets what runs finish, and after the grace period ends what is left with an error that says so. */
    async drain(): Promise<void> {
      isClosing = true
      await endAfterGrace([...inFlight.keys()], new HubClosing())
    },
  }
}

/** Who went away in the midst of an upload needs no answer. */
function unlessGone(error: unknown): undefined {
  if (error instanceof UploadBroken) return undefined
  throw error
}

/** RFC 9110 §7.6.3: each proxy names itself there, so a request that names this hub has been here. */
function hasPassed(via: string | undefined, hubId: string): boolean {
  return via?.includes(hubId) ?? false
}

function pathOf({ endpoint, targetId, search }: ForwardRequest): string {
  const path = targetId === undefined ? endpoint.path : endpoint.path.replace(':id', encodeURIComponent(targetId))
  return `${path}${search}`
}

function nameOf({ participant }: ParticipantRecord): string {
  return participant.nickname === participant.id ? participant.id : `${participant.nickname} (${participant.id})`
}

/** Some errors are the hub's own; any other is the participant's. */
function failure(record: ParticipantRecord, { reason, error }: { reason: string; error: Error }): Error {
  if ((error as { code?: string }).code?.startsWith('PTL_') === true && 'statusCode' in error) return error
  return new ProxyFailed(`${nameOf(record)}: ${reason}`, { cause: error })
}

function ownHeaders(request: ForwardRequest, { candidate, reason }: Choice): OutgoingHttpHeaders {
  return {
    [POTLUCK_HEADERS.participant]: candidate.record.participant.id,
    [POTLUCK_HEADERS.model]: printable(candidate.model),
    [POTLUCK_HEADERS.reason]: reason,
    [POTLUCK_HEADERS.queueMs]: '0',
    [POTLUCK_HEADERS.attempts]: '1',
    [POTLUCK_HEADERS.requestId]: request.requestId,
    // An answer is a stranger's: a browser must neither guess its type nor run it as a page of the hub.
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
    // Buffering proxies (nginx) would hold back a stream.
    'x-accel-buffering': 'no',
  }
}

/** A model's name may have any letters; in a header those beyond ASCII are escaped (RFC 3986 §2.1). */
function printable(name: string): string {
  return name.replace(/[^\x20-\x7e]+/g, (letters) => encodeURIComponent(letters.toWellFormed()))
}
