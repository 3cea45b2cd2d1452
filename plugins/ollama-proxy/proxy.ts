import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import { HubClosing, InvalidField, LoopDetected, ProxyFailed, RoomClosed } from '../../schemas/errors.ts'
import { POTLUCK_HEADERS } from '../../schemas/headers.ts'
import { LIMITS } from '../../schemas/limits.ts'
import type { EventBus } from '../event-bus/bus.ts'
import type { ParticipantRecord, RoomRecord, RoomStore } from '../room-store/store.ts'
import { type Choice, createBalancer } from './balancer.ts'
import { Forward, type Outcome } from './forward.ts'
import { upstreamHeaders } from './headers.ts'
import { type ScannedObject, scanObject } from './json-scan.ts'
import { Meter } from './meter.ts'
import type { Protocol, Usage } from './protocols/protocol.ts'
import { findCandidates } from './routing.ts'
import { spliceBody } from './splice.ts'

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
  /** How long requests may go on when their room is closed or the hub shuts down. */
  graceMs: number
  /** Names this hub in `via`; unique among hubs. */
  hubId: string
}

export interface ForwardRequest {
  room: RoomRecord
  protocol: Protocol
  body: Buffer
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
  /** What the client wrote. */
  model: string
  stream: boolean
  outcome: Outcome
  /** What was read and written, also of an answer that broke off or that nobody waited for. */
  usage(): Usage | undefined
}

interface InFlight {
  readonly roomId: string
  isRoomClosed: boolean
}

export type InferenceProxy = ReturnType<typeof createProxy>

/** What a request says for itself: read where it stands, never parsed whole. */
interface Reading {
  scanned: ScannedObject
  model: string
  stream: boolean
}

/** Brings inference requests to a participant and the answer back, byte for byte. */
export function createProxy({ rooms, events, dispatcherFor, clock, timeouts, graceMs, hubId }: ProxyOptions) {
  const balancer = createBalancer()
  const inFlight = new Map<Forward, InFlight>()
  const via = `1.1 ${hubId}`
  let isClosing = false

  function prepare(request: ForwardRequest, reading: Reading, { candidate }: Choice): Buffer {
    const config = { ...request.room.defaults, ...candidate.record.participant.config }
    const defaults = request.protocol.defaultsFor(config, (field) => reading.scanned.values.has(field))
    return spliceBody(request.body, reading.scanned, { model: candidate.model, defaults })
  }

  function announceStart(request: ForwardRequest, reading: Reading, { candidate, reason }: Choice): void {
    events.publishToRoom(request.room.room.id, 'llm:request', {
      participantId: candidate.record.participant.id,
      model: reading.model,
      requestId: request.requestId,
      protocol: request.protocol.name,
      stream: reading.stream,
      attempt: 1,
      queuedMs: 0,
      reason,
    })
  }

  function announceEnd(request: ForwardRequest, reading: Reading, participantId: string, outcome: Outcome): void {
    const roomId = request.room.room.id
    const about = { participantId, requestId: request.requestId, protocol: request.protocol.name }
    if (outcome.kind === 'complete') {
      events.publishToRoom(roomId, 'llm:complete', { ...about, model: reading.model, metrics: outcome.metrics })
    } else if (outcome.kind === 'cancelled') {
      const { durationMs } = outcome
      events.publishToRoom(roomId, 'llm:cancelled', { participantId, requestId: request.requestId, durationMs })
    } else {
      const stage = outcome.kind === 'failed' ? outcome.stage : 'answer'
      events.publishToRoom(roomId, 'llm:error', { ...about, error: outcome.reason, stage, retrying: false })
    }
  }

  async function endAfterGrace(forwards: readonly Forward[], reason: Error): Promise<void> {
    const timer = setTimeout(() => {
      for (const forward of forwards) forward.abort(reason)
    }, graceMs)
    await Promise.all(forwards.map((forward) => forward.outcome))
    clearTimeout(timer)
  }

  function dispatch(
    request: ForwardRequest,
    reading: Reading,
    choice: Choice,
    startedAt: number,
    onSettled: (outcome: Outcome) => void,
  ): Forward {
    const { record } = choice.candidate
    const forward = new Forward({
      response: request.response,
      protocol: request.protocol,
      meter: new Meter({ protocol: request.protocol, startedAt, requestBytes: request.body.length }),
      now: () => clock.elapsed(),
      startedAt,
      replyHeaders: { ...request.replyHeaders, ...ownHeaders(request, choice) },
      onTakeOver: request.onTakeOver,
      stallMs: timeouts.stallMs,
      onSettled,
      who: nameOf(record),
    })
    // The body was found to be a JSON object, whatever the client called it; servers refuse it under another name.
    const headers = { ...upstreamHeaders(request.headers, via), 'content-type': 'application/json' }
    const path = `${record.target.basePath}${request.protocol.path}`
    const limits = { headersTimeout: timeouts.firstByteMs, bodyTimeout: timeouts.idleMs }
    const body = prepare(request, reading, choice)
    const options = { origin: record.target.origin, path, method: 'POST', headers, body, ...limits } as const
    dispatcherFor(record).dispatch(options, forward)
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
      if (hasPassed(request.headers.via, hubId)) throw new LoopDetected()
      const reading = read(request.body)
      const records = await rooms.listParticipants(request.room.room.id)
      if (isClosing) throw new HubClosing()
      if (request.response.destroyed) return
      const [first, ...others] = findCandidates(reading.model, records)
      const choice = balancer.choose([first as NonNullable<typeof first>, ...others])
      announceStart(request, reading, choice)
      const { record } = choice.candidate
      const entry = { roomId: request.room.room.id, isRoomClosed: false }
      const forward: Forward = dispatch(request, reading, choice, startedAt, (outcome) => {
        choice.release()
        // Of a closed room nobody is left to tell, and the bus has forgotten it.
        if (!entry.isRoomClosed) announceEnd(request, reading, record.participant.id, outcome)
        const { model, stream } = reading
        request.onServed({ participantId: record.participant.id, model, stream, outcome, usage: () => forward.usage })
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

    /** The room is closed: what runs may finish, and after the grace period ends with an error that says so. */
    endRoom(roomId: string): void {
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

function read(body: Buffer): Reading {
  const scanned = scanObject(body)
  if (scanned.duplicates.has('model') || hasOtherCase(scanned, 'model'))
    throw new InvalidField('model must be there only once')
  return { scanned, model: readModel(body, scanned), stream: textOf(body, scanned, 'stream') === 'true' }
}

/** Servers written in Go match keys without regard to case, and take the last: `Model` would be a second `model`. */
function hasOtherCase({ values }: ScannedObject, key: string): boolean {
  for (const name of values.keys()) if (name !== key && name.toLowerCase() === key) return true
  return false
}

/** A text without controls, since it goes into events; `null` is as good as none. */
function readModel(body: Buffer, scanned: ScannedObject): string {
  const text = textOf(body, scanned, 'model')
  if (text === undefined || text === 'null') return '*'
  const model = text.startsWith('"') ? parseString(text) : undefined
  if (model === undefined || model.length > LIMITS.model || /[\u0000-\u001F\u007F-\u009F]/.test(model)) {
    throw new InvalidField(`model must be a text of at most ${LIMITS.model} characters without control characters`)
  }
  return model === '' ? '*' : model
}

function textOf(body: Buffer, { values }: ScannedObject, key: string): string | undefined {
  const span = values.get(key)
  if (span === undefined) return undefined
  // Longer than any value that is looked at; the rest of it would only be copied.
  return body.toString('utf8', span.start, Math.min(span.end, span.start + LIMITS.model * 12 + 2))
}

function parseString(text: string): string | undefined {
  try {
    return JSON.parse(text) as string
  } catch {
    return undefined
  }
}

/** RFC 9110 §7.6.3: each proxy names itself there, so a request that names this hub has been here. */
function hasPassed(via: string | undefined, hubId: string): boolean {
  return via?.includes(hubId) ?? false
}

function nameOf({ participant }: ParticipantRecord): string {
  return participant.nickname === participant.id ? participant.id : `${participant.nickname} (${participant.id})`
}

function failure(record: ParticipantRecord, { reason, error }: { reason: string; error: Error }): Error {
  if (error instanceof HubClosing || error instanceof RoomClosed) return error
  return new ProxyFailed(`${nameOf(record)}: ${reason}`, { cause: error })
}

function ownHeaders(request: ForwardRequest, { candidate, reason }: Choice): OutgoingHttpHeaders {
  return {
    [POTLUCK_HEADERS.participant]: candidate.record.participant.id,
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
