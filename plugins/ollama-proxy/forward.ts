import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Metrics } from '../../schemas/events.ts'
import { POTLUCK_HEADERS } from '../../schemas/headers.ts'
import { HEAD_BYTES } from './both-ends.ts'
import { clientHeaders, type HeaderList, single } from './headers.ts'
import { type Meter, round } from './meter.ts'
import type { Protocol, Usage } from './protocols/protocol.ts'
import { mayLackPath, toldOfPath } from './unspoken.ts'
import { UploadBroken } from './upload.ts'
import { RefusedAnswer, reasonOf } from './upstream-errors.ts'

/** How far a request had come when it ended. */
export type Stage = 'connect' | 'answer' | 'stream'

export type Outcome =
  /** The participant answered with a status on which somebody else is asked; nothing has reached the client. */
  | { kind: 'passed'; statusCode: number; reason: string; retryAfterMs?: number; isTooLong?: true; lacksPath?: true }
  | { kind: 'complete'; statusCode: number; metrics: Metrics }
  /** The participant itself refused the request, and the client was told in its words. */
  | { kind: 'refused'; statusCode: number; reason: string }
  | { kind: 'failed'; stage: Stage; reason: string; error: Error }
  | { kind: 'cancelled'; durationMs: number }

export interface ForwardOptions {
  response: ServerResponse
  protocol: Protocol
  meter: Meter
  /** Of a monotonic clock, ms. */
  now: () => number
  startedAt: number
  /** Headers of the hub's own; none of them is one that a participant may set. */
  replyHeaders: Readonly<HeaderList>
  /**
   * Called once, right before the first byte of the body goes to the client: from then on the response belongs to this handler.
   * @param hasBegun its headers had gone out before, to keep it alive
   */
  onTakeOver: (hasBegun: boolean) => void
  /** How long the client may take nothing at all. */
  stallMs: number
  /** How long the participant may put off its answer by interim ones. */
  firstByteMs: number
  /** Called once the head of an answer is there that is no stream: from now on nothing may come before its body. */
  onOther?: () => void
  /** Called once, in the moment of the end, before the client sees it. */
  onSettled: (outcome: Outcome) => void
  /** Whether an answer of this status is thrown away, since another participant may give a better one. */
  discards?: (statusCode: number, retryAfterMs: number | undefined) => boolean
  /** Whether somebody has a larger context window, where this one refuses the prompt for its length. */
  mayWiden?: () => boolean
  /**
   * Called once, where the participant's server seems to have no such path.
   * @param isSaid it says so in words that are about nothing else
   * @returns whether somebody else may have it
   */
  onNoPath?: (isSaid: boolean) => boolean
  /** Called once, with the name of what the answer made, before the client reads it. */
  onMade?: (id: string) => void
  /** Who failed, for the error that ends a broken stream. */
  who: string
}

const FIRST_STATUS = 100
const FIRST_FINAL_STATUS = 200

/** With which servers refuse a prompt for its length. */
const TOO_LONG_STATUSES: ReadonlySet<number> = new Set([400, 413, 422])

/** An error is a few hundred bytes; what is longer says something else. */
const MAX_HELD_BYTES = 16 * 1024
const NO_CONTENT = 204

/** A server that says each second that it is still at it gets this far; more is a flood, which nothing else would slow. */
const MAX_INTERIMS = 1000

/** Longer ones say nothing more, and many clients take no more than 16 KiB before the body. */
const MAX_REASON_PHRASE = 100

/** Behind what is under way now: all that came in one turn of the event loop goes on together, and nothing waits longer. */
const passOnSoon = (forward: { passOn(): void }): void => forward.passOn()

/** A participant's answer on its way to the client: one object a request, chunks written as they come, nothing held back. */
export class Forward implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<Outcome>
  readonly #options: ForwardOptions
  readonly #settle: (outcome: Outcome) => void
  #controller: Dispatcher.DispatchController | undefined
  #statusCode = 0
  #statusMessage: string | undefined
  #headers: IncomingHttpHeaders = {}
  #mediaType = ''
  #isStarted = false
  #isSettled = false
  #isMadeKnown = false
  /** What came in this turn of the event loop. */
  #arrived: Buffer[] = []
  /** A refusal that is looked at before it is passed on. */
  #held: Buffer[] | undefined
  #interims = 0
  #firstInterimAt: number | undefined
  /** Runs while the client does not read. */
  #stall: NodeJS.Timeout | undefined
  /** Why the hub itself ended the request, where it did. */
  #abortReason: Error | undefined

  constructor(options: ForwardOptions) {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    this.#options = options
    this.outcome = promise
    this.#settle = resolve
    options.response.on('close', this.#onClose)
  }

  /** Whether something has come that the client got, or is about to. */
  get isStarted(): boolean {
    return this.#isStarted || this.#arrived.length > 0
  }

  /** Of an answer that has begun, as far as it came. */
  get usage(): Usage | undefined {
    return this.#isStarted && this.#statusCode < 400 ? this.#options.meter.usage() : undefined
  }

  /** Ends the request from this side: a hub that shuts down. */
  abort(reason: Error): void {
    this.#abortReason ??= reason
    if (this.#controller === undefined) this.onResponseError(undefined, reason)
    else this.#controller.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isSettled) controller.abort(new Error('The request ended before it began'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    const refusal = isInterim(statusCode) ? this.#seeInterim() : refusalOf(statusCode, headers)
    if (refusal !== undefined) controller.abort(new RefusedAnswer(refusal))
    if (refusal !== undefined || isInterim(statusCode)) return
    const retryAfterMs = statusCode < 400 ? undefined : retryAfterOf(headers)
    if (this.#options.discards?.(statusCode, retryAfterMs) === true) {
      this.#discard(controller, statusCode, retryAfterMs)
      return
    }
    this.#mediaType = mediaTypeOf(headers)
    const isLookedAt = this.#mayGoOn(statusCode)
    if (!isLookedAt && !this.#fitsBehindKeepAlive(statusCode)) {
      if (this.#options.response.headersSent) {
        this.#refuse(controller, statusCode)
        return
      }
      this.#options.onOther?.()
    }
    this.#statusCode = statusCode
    this.#statusMessage = statusMessage
    this.#headers = headers
    if (!isText(this.#mediaType)) this.#options.meter.isBinary()
    if (isLookedAt) this.#held = []
  }

  /** A refusal that may say that somebody else could serve. */
  #mayGoOn(statusCode: number): boolean {
    const { mayWiden, onNoPath } = this.#options
    if (TOO_LONG_STATUSES.has(statusCode)) return mayWiden?.() === true
    return mayLackPath(statusCode) && onNoPath !== undefined
  }

  /** RFC 9110 §15.2: any number may come. Each begins undici's own limit anew, so that it would hold for none of them. */
  #seeInterim(): string | undefined {
    const { now, firstByteMs } = this.#options
    this.#interims += 1
    this.#firstInterimAt ??= now()
    if (this.#interims > MAX_INTERIMS) return 'Too many interim answers'
    return now() - this.#firstInterimAt > firstByteMs ? 'No answer in time' : undefined
  }

  /** Behind signs of life only a stream can follow. */
  #fitsBehindKeepAlive(statusCode: number): boolean {
    return statusCode === 200 && this.#isStream()
  }

  #refuse(controller: Dispatcher.DispatchController | undefined, statusCode: number): void {
    if (statusCode < 400) {
      controller?.abort(new RefusedAnswer('It answered with something other than a stream'))
      return
    }
    this.#finish({ kind: 'refused', statusCode, reason: `The participant answered ${statusCode}` })
    controller?.abort(new Error('Its answer has no place in a stream'))
  }

  #discard(controller: Dispatcher.DispatchController, statusCode: number, retryAfterMs: number | undefined): void {
    const told = retryAfterMs === undefined ? {} : { retryAfterMs }
    this.#finish({ kind: 'passed', statusCode, reason: `It answered ${statusCode}`, ...told })
    controller.abort(new Error('Somebody else is asked'))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isSettled) return
    this.#arrived.push(chunk)
    if (this.#arrived.length === 1) process.nextTick(passOnSoon, this)
  }

  /** A write for each piece would cost more than to copy them into one. */
  passOn(): void {
    try {
      this.#passOn()
    } catch (error) {
      // Called from nowhere: what is thrown here would end the hub.
      this.#abortReason ??= error as Error
      this.#controller?.abort(error as Error)
    }
  }

  #passOn(): void {
    const chunk = this.#take()
    const isUnderWay = this.#isStarted || this.#held !== undefined
    if (isUnderWay && !this.#isSettled && this.#isWhole()) {
      this.#endEarly(chunk)
      return
    }
    if (chunk === undefined) return
    const { response } = this.#options
    const { socket } = response
    // Else Node waits for another turn of the event loop, to see whether more is written.
    socket?.cork()
    const isTaken = response.write(chunk)
    socket?.uncork()
    if (!isTaken && this.#controller !== undefined) this.#waitForReader(this.#controller)
  }

  /** Through a tunnel the end comes behind the last byte, and whoever has all of the answer would find the account open. */
  #endEarly(last: Buffer | undefined): void {
    if (this.#held !== undefined) {
      this.onResponseEnd()
      return
    }
    const isPaused = this.#stall !== undefined
    this.#end(last)
    // Else nothing would let that end come.
    if (isPaused) this.#controller?.resume()
  }

  /** What has come since and is to be written now; the answer has begun then. */
  #take(): Buffer | undefined {
    const [first] = this.#arrived
    if (first === undefined || this.#isSettled) return undefined
    const chunk = this.#arrived.length === 1 ? first : Buffer.concat(this.#arrived)
    this.#arrived = []
    const { meter, now } = this.#options
    meter.see(chunk, now())
    if (this.#held !== undefined) {
      this.#held.push(chunk)
      if (meter.bytes > MAX_HELD_BYTES) this.#release()
      return undefined
    }
    if (!this.#isMadeKnown) this.#noteMade(meter.bytes >= HEAD_BYTES)
    if (!this.#isStarted) this.#start()
    return chunk
  }

  /** It is passed on after all, where it still has a place. */
  #release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    if (this.#options.response.headersSent) {
      this.#refuse(this.#controller, this.#statusCode)
      return
    }
    this.#options.onOther?.()
    this.#start()
    for (const chunk of held) this.#options.response.write(chunk)
  }

  /** Why a refusal that was held is not passed on, where somebody else may take the request. */
  #wayOn(): { reason: string; isTooLong?: true; lacksPath?: true } | undefined {
    if (this.#held === undefined) return undefined
    const { protocol, mayWiden, onNoPath } = this.#options
    const text = Buffer.concat(this.#held).toString('utf8')
    const told = toldOfPath(this.#statusCode, text)
    if (told !== 'no')
      return onNoPath?.(told === 'lacking') === true
        ? { reason: 'It does not serve this path', lacksPath: true }
        : undefined
    if (mayLackPath(this.#statusCode) || !protocol.isTooLong(text) || mayWiden?.() !== true) return undefined
    return { reason: 'The prompt is too long for it', isTooLong: true }
  }

  /** What was made is known by its name, which stands near the beginning, or in some servers at the end. */
  #noteMade(isLast: boolean): void {
    const { onMade, protocol, meter } = this.#options
    const id = onMade === undefined || this.#statusCode >= 400 ? undefined : protocol.readId?.(meter.ends)
    this.#isMadeKnown = isLast || onMade === undefined || id !== undefined
    if (id !== undefined) onMade?.(id)
  }

  /** While the client does not read, the participant is not read from either; who never reads is gone. */
  #waitForReader(controller: Dispatcher.DispatchController): void {
    const { response, stallMs } = this.#options
    controller.pause()
    // What has come already is handed on where the participant closes, so that there may be more to wait with.
    if (this.#stall !== undefined) return
    // Also where it waits behind an earlier answer on the same connection: it holds a slot.
    this.#stall = setTimeout(() => response.destroy(), stallMs).unref()
    response.once('drain', () => {
      clearTimeout(this.#stall)
      this.#stall = undefined
      controller.resume()
    })
  }

  onResponseEnd(): void {
    if (this.#isSettled) return
    const last = this.#take()
    const wayOn = this.#wayOn()
    if (wayOn !== undefined) {
      this.#finish({ kind: 'passed', statusCode: this.#statusCode, ...wayOn })
      return
    }
    if (this.#held !== undefined) this.#release()
    if (this.#isSettled) return
    if (!this.#isStarted) this.#start()
    this.#end(last)
  }

  #end(last?: Buffer): void {
    if (!this.#isMadeKnown) this.#noteMade(true)
    // First the account, then the end: whoever sees the end finds the account closed.
    this.#finish(this.#ending())
    this.#options.response.end(last)
    this.#waitForLast()
  }

  /** Who leaves the rest lying is cut off as before the end. */
  #waitForLast(): void {
    const { response, stallMs } = this.#options
    const { socket } = response
    if (socket === null) {
      // It holds no slot any more, so it may wait for its turn; and then for what it had written until then.
      response.once('socket', () => setImmediate(() => response.socket !== null && this.#waitForLast()))
      return
    }
    if (socket.destroyed || socket.writableLength === 0) return
    const stall = setTimeout(() => response.destroy(), stallMs).unref()
    response.once('close', () => clearTimeout(stall))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#isSettled) return
    if (error instanceof UploadBroken) {
      this.#onClose()
      return
    }
    this.passOn()
    if (this.#isSettled) return
    if (this.#abortReason === undefined && this.#hasEnded()) {
      this.#end()
      return
    }
    const cause = this.#abortReason ?? error
    const reason = this.#abortReason?.message ?? reasonOf(error)
    const stage = this.#stage()
    this.#finish({ kind: 'failed', stage, reason, error: cause })
    if (this.#isStarted) this.#breakOff(reason)
  }

  /** The headers wait for the first byte of the body, so until then a failure can still be told by a status. */
  #start(): void {
    const { response, onTakeOver } = this.#options
    // It was kept alive: its headers have gone out already.
    const hasBegun = response.headersSent
    if (!hasBegun) this.#writeHead()
    this.#isStarted = true
    onTakeOver(hasBegun)
  }

  /** @throws where the participant's headers can't be sent on */
  #writeHead(): void {
    const { response, replyHeaders } = this.#options
    // A stream that breaks off gets an error frame behind it, which must not look like the rest of what was announced.
    // RFC 9110 §8.6: what has no content has no length.
    const headers = clientHeaders(this.#headers, !this.#isStream() && this.#statusCode !== NO_CONTENT)
    headers.push(...replyHeaders)
    this.#addFigures(headers)
    if (this.#statusMessage === undefined || this.#statusMessage === '') response.writeHead(this.#statusCode, headers)
    else response.writeHead(this.#statusCode, printable(this.#statusMessage), headers)
  }

  /** What is known of the metering before the first byte goes out: all of it where the whole answer is there. */
  #addFigures(headers: HeaderList): void {
    const { meter, now, startedAt } = this.#options
    headers.push(POTLUCK_HEADERS.ttftMs, String(round((meter.firstByteAt ?? now()) - startedAt)))
    const usage = this.#isWhole() && this.#statusCode < 400 ? meter.told() : undefined
    if (usage === undefined) return
    headers.push(POTLUCK_HEADERS.inputTokens, String(usage.inputTokens))
    headers.push(POTLUCK_HEADERS.outputTokens, String(usage.outputTokens))
  }

  /** As much has come as it said. */
  #isWhole(): boolean {
    const { bytes } = this.#options.meter
    return bytes > 0 && Number(this.#headers['content-length']) === bytes
  }

  #isStream(): boolean {
    return this.#mediaType === this.#options.protocol.streamType
  }

  /** Behind a stream's own last frame a broken connection broke nothing. */
  #hasEnded(): boolean {
    const { protocol, meter } = this.#options
    return this.#isStarted && this.#statusCode < 400 && this.#isStream() && protocol.hasEnded(meter.ends.tail)
  }

  #stage(): Stage {
    if (this.#isStarted) return 'stream'
    return this.#statusCode === 0 && this.#controller === undefined ? 'connect' : 'answer'
  }

  #ending(): Outcome {
    const statusCode = this.#statusCode
    if (statusCode < 400)
      return { kind: 'complete', statusCode, metrics: this.#options.meter.finish(this.#options.now()) }
    return { kind: 'refused', statusCode, reason: `The participant answered ${statusCode}` }
  }

  /** A cut answer must look cut: an error in the stream's own form where it has one, and no proper end. */
  #breakOff(reason: string): void {
    const { response, protocol, who } = this.#options
    const isPlain = this.#headers['content-encoding'] === undefined
    if (this.#isStream() && isPlain && !response.writableNeedDrain) {
      const message = `${who} broke off: ${reason}`
      const frame = protocol.errorFrame({ statusCode: 502, code: 'PTL_PROXY_FAILED', message })
      // Where the stream broke off within a line, the blank one ends what is left of it.
      const border = protocol.streamType === 'text/event-stream' ? '\n\n' : '\n'
      response.write(this.#options.meter.isAtFrameEnd ? frame : `${border}${frame}`)
    }
    // What was written goes out first; the missing last chunk tells every HTTP client that this is not the end. Who does not
    // read, or whose connection still serves an earlier request, is cut off as it is.
    if (response.socket === null || response.writableNeedDrain) response.destroy()
    else {
      response.socket.destroySoon()
      this.#waitForLast()
    }
  }

  readonly #onClose = (): void => {
    if (this.#isSettled) return
    // Who was behind may not have seen it.
    if (this.#stall === undefined && this.#hasEnded()) {
      if (!this.#isMadeKnown) this.#noteMade(true)
      this.#finish(this.#ending())
      // It may go on behind its own end for as long as it likes.
      this.#controller?.abort(new Error('The client has all of it'))
      return
    }
    this.#finish({ kind: 'cancelled', durationMs: round(this.#options.now() - this.#options.startedAt) })
    this.#controller?.abort(new Error('The client went away'))
  }

  #finish(outcome: Outcome): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#stall)
    this.#options.response.off('close', this.#onClose)
    this.#options.onSettled(outcome)
    this.#settle(outcome)
  }
}

function mediaTypeOf(headers: IncomingHttpHeaders): string {
  const [type = ''] = single(headers['content-type'] ?? '').split(';')
  return type.trim().toLowerCase()
}

/** What says nothing of itself is taken for text, as most answers are. */
function isText(mediaType: string): boolean {
  return mediaType === '' || mediaType.startsWith('text/') || mediaType.endsWith('json')
}

function isInterim(statusCode: number): boolean {
  return statusCode >= FIRST_STATUS && statusCode < FIRST_FINAL_STATUS
}

/** Why an answer must not reach the client, however it goes on. */
function refusalOf(statusCode: number, headers: IncomingHttpHeaders): string | undefined {
  if (statusCode < FIRST_STATUS) return 'The answer is not HTTP'
  if (statusCode >= 300 && statusCode < 400) {
    return `It answered with a redirect (${statusCode}), and redirects are not followed`
  }
  // RFC 9112 §6.1: any other was not asked for, and undici does not undo it: the client would take it for the content.
  const coding = headers['transfer-encoding'] ?? 'chunked'
  return String(coding).toLowerCase() === 'chunked'
    ? undefined
    : 'It answered in a transfer coding that nobody asked for'
}

/** A reason phrase is free text of the other side; Node refuses to send what RFC 9112 §4 does not allow. */
function printable(text: string): string {
  return text.slice(0, MAX_REASON_PHRASE).replace(/[^\t\x20-\x7e]/g, '?')
}

/** RFC 9110 §10.2.3, in seconds or as a date; some servers say it in ms. */
function retryAfterOf(headers: IncomingHttpHeaders): number | undefined {
  const ms = Number(headers['retry-after-ms'])
  if (ms > 0) return ms
  const value = single(headers['retry-after'] ?? '')
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now())
}
