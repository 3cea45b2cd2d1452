import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../schemas/clock.ts'
import { HubClosing, LoopDetected, RoomClosed } from '../../schemas/errors.ts'
import type { Performance } from '../../schemas/participant.ts'
import { Roster } from '../../schemas/roster.ts'
import type { EventBus } from '../event-bus/bus.ts'
import type { WatchedRoomStore } from '../room-store/announce.ts'
import type { ParticipantRecord, RoomRecord } from '../room-store/store.ts'
import { type Asking, readRequest } from './asking.ts'
import { createBusiness } from './business.ts'
import { createAffinity, type Prefix } from './choosing/affinity.ts'
import { createBreakers } from './choosing/breaker.ts'
import { createHiddenQueues } from './choosing/hidden-queue.ts'
import { createScheduler, type PassedOver } from './choosing/scheduler.ts'
import { createDirectory } from './directory.ts'
import { Errand } from './errand.ts'
import type { Outcome } from './forward.ts'
import { createLearner } from './learner.ts'
import { createMakers } from './makers.ts'
import { createPerformances } from './performance.ts'
import type { Endpoint, Protocol, Usage } from './protocols/protocol.ts'
import type { ClientCounts, QueueLimits } from './queueing.ts'
import { createUnspoken } from './unspoken.ts'
import { type Upload, UploadBroken } from './upload.ts'

export interface ProxyLimits {
  /** From the last byte of the request to the headers of the answer; loading a large model takes minutes. */
  firstByteMs: number
  /** Between two pieces of an answer. */
  idleMs: number
  /** How long a client may read nothing of an answer that is there. */
  stallMs: number
  /** How long a stream's first token is waited for while somebody else is free. */
  firstTokenMs: number
  /** How often one request is tried, at one participant or at several. */
  maxAttempts: number
  /** Silence behind which a stream that waits gets a sign of life; 0: never. */
  streamKeepAliveMs: number
}

export interface ProxyOptions {
  rooms: Pick<WatchedRoomStore, 'findRoom' | 'listParticipants' | 'watch' | 'setBusy'>
  events: Pick<EventBus, 'publishToRoom'>
  /** How to reach a participant: an endpoint or a tunnel, the proxy does not know which. */
  dispatcherFor(record: ParticipantRecord): Dispatcher
  clock: Clock
  limits: ProxyLimits
  queue: QueueLimits
  /** Requests at once of a participant that does not say how many it takes. */
  defaultSlots: number
  /** How old what is known of the participants' servers may be; 0: they are never asked. */
  learnIntervalMs: number
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
  /** Who shares with others: a personal key, a participant, an address. */
  client: string
  /** Participants of whoever asks, by their ids; or the address that speaks for them. */
  owner: { participantId?: string; address?: string }
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
  /** Called before `forward` throws: headers for the hub's own answer. */
  onRefused(headers: OutgoingHttpHeaders): void
  /** Called once for a request that reached a participant, before `forward` resolves or throws. */
  onServed(served: Served): void
}

interface Running {
  readonly errand: Errand
  readonly ended: Promise<void>
}

/** What became of a request, for the log: no word of its content. */
export interface Served {
  participantId: string
  /** Of the participant, unique among all rooms. */
  key: string
  protocol: string
  /** What the client wrote. */
  model: string
  stream: boolean
  /** How long it waited for a slot. */
  queuedMs: number
  attempts: number
  durationMs: number
  outcome: Outcome
  /** What was read and written, also of an answer that broke off or that nobody waited for. */
  usage(): Usage | undefined
}

export type InferenceProxy = ReturnType<typeof createProxy>

/** Brings inference requests to a participant and the answer back, byte for byte. */
export function createProxy(options: ProxyOptions) {
  const {
    rooms,
    events,
    dispatcherFor,
    clock,
    limits,
    queue,
    defaultSlots,
    learnIntervalMs,
    bodyLimit,
    graceMs,
    hubId,
    observe,
  } = options
  const now = () => clock.elapsed()
  const makers = createMakers()
  const unspoken = createUnspoken({ now })
  const performances = createPerformances()
  const affinity = createAffinity()
  const business = createBusiness({ tell: (key, isBusy) => tellBusy(key, isBusy) })
  const scheduler = createScheduler({ now, affinity, speedOf: performances.speedOf, onBusy: business.note })
  const breakers = createBreakers({ now, onChange: (key) => directory.settle(key) })
  const hiddenQueues = createHiddenQueues({ now, onFound: (key) => directory.settle(key) })
  const learner = createLearner({
    dispatcherFor,
    clock,
    intervalMs: learnIntervalMs,
    onChange: (record) => directory.relearn(record),
  })
  const directory = createDirectory({
    rooms,
    scheduler,
    slotsOf: (record) => {
      const told = record.participant.slots ?? learner.of(record).slots ?? defaultSlots
      return Math.min(told, hiddenQueues.slotsOf(record.key))
    },
    knowledgeOf: learner.of,
    onSeen: learner.look,
    isFailing: breakers.isOpen,
    tryAgain: breakers.closeEarly,
    onGone(key) {
      breakers.forget(key)
      business.forget(key)
      hiddenQueues.forget(key)
      performances.forget(key)
      makers.forgetMaker(key)
    },
  })
  const underWay = new Roster<Running>()
  const counts: ClientCounts = new Map()
  const tools = {
    counts,
    events,
    dispatcherFor,
    clock,
    limits,
    queue,
    scheduler,
    directory,
    breakers,
    makers,
    unspoken,
    performances,
    hiddenQueues,
  }
  const shared = { ...tools, via: `1.1 ${hubId}`, onServed }
  const timer = setInterval(directory.lookAgain, Math.max(1000, learnIntervalMs)).unref()
  // Whoever has joined is asked at once, so that the first request finds something known.
  rooms.watch((roomId, isClosed) => {
    if (!isClosed && learnIntervalMs > 0) rooms.listParticipants(roomId).then(learner.look, () => {})
  })
  let isClosing = false

  function onServed({ request }: Errand, served: Served): void {
    if (request.endpoint.isQuiet !== true) observe?.(served)
    request.onServed(served)
  }

  /** Where there is but one it is no matter what is warm there. */
  function prefixOf(roomId: string, { prompt, cacheKey, model }: Asking, participants: number): { prefix?: Prefix } {
    if (participants < 2 || prompt.length === 0) return {}
    return { prefix: affinity.prefixOf(prompt, cacheKey, `${roomId}/${model}`) }
  }

  function tellBusy(key: string, isBusy: boolean): void {
    const border = key.indexOf('/')
    // What can't be told now is told with the next change.
    rooms.setBusy(key.slice(0, border), key.slice(border + 1), isBusy).catch(() => {})
  }

  async function endAfterGrace(running: readonly Running[], reason: Error): Promise<void> {
    const timer = setTimeout(() => {
      for (const { errand } of running) errand.abort(reason)
    }, graceMs)
    await Promise.allSettled(running.map(({ ended }) => ended))
    clearTimeout(timer)
  }

  return {
    /**
     * Chooses a participant and forwards the request, to others where that fails; resolves when it has ended.
     * @throws an error of the catalogue while nothing has been sent to the client: unusable request, nobody to serve it
     * (`PTL_NO_PARTICIPANT`, `PTL_PARTICIPANT_OFFLINE`), too many who wait (`PTL_QUEUE_FULL`), or participants that failed
     * (`PTL_PROXY_FAILED`)
     */
    async forward(request: ForwardRequest): Promise<void> {
      const startedAt = clock.elapsed()
      const { protocol, endpoint, headers, body, response, client, owner } = request
      if (hasPassed(headers.via, hubId)) throw new LoopDetected()
      // What is there already is not waited for: each wait costs as much as what it is for.
      const read = readRequest({ protocol, endpoint, headers, body, limitBytes: bodyLimit })
      const asking = read instanceof Promise ? await read.catch(unlessGone) : read
      if (asking === undefined) return
      const opened = directory.open(request.room, asking.needs)
      const room = opened instanceof Promise ? await opened : opened
      if (isClosing) throw new HubClosing()
      if (response.destroyed) return
      const errand = new Errand(request, asking, startedAt, shared)
      const asker = {
        client,
        owns: room.ownedBy(owner),
        ...prefixOf(request.room.room.id, asking, room.records.length),
      }
      const ended = errand.run(room, asker)
      const place = underWay.add({ errand, ended })
      try {
        await ended
      } finally {
        underWay.remove(place)
      }
    },

    /** Requests that have not ended yet. */
    get inFlight(): number {
      return underWay.size
    },

    /** Requests that wait for their turn, in all rooms. */
    get waiting(): number {
      let waiting = 0
      for (const count of counts.values()) waiting += count
      return waiting
    },

    /** How fast a participant has been lately; undefined where it has served nothing yet. */
    performanceOf({ key }: ParticipantRecord): Performance | undefined {
      return performances.of(key)
    },

    /** The requests that a participant was passed over for, by reason. */
    passedOverOf({ key }: ParticipantRecord): Partial<Record<PassedOver, number>> {
      return scheduler.passedOver(key)
    },

    /** The room is closed: what runs may finish, and after the grace period ends with an error that says so. */
    endRoom(roomId: string): void {
      makers.forgetRoom(roomId)
      const running = underWay.items().filter(({ errand }) => errand.request.room.room.id === roomId)
      for (const { errand } of running) errand.isRoomClosed = true
      void endAfterGrace(running, new RoomClosed())
    },

    /** Takes nothing new, lets what runs finish, and after the grace period ends what is left with an error that says so. */
    async drain(): Promise<void> {
      isClosing = true
      await endAfterGrace(underWay.items(), new HubClosing())
      clearInterval(timer)
      learner.close()
      directory.close()
      business.close()
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
