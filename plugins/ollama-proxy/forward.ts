import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { Metrics } from '../../schemas/events.ts'
import { clientHeaders, single } from './headers.ts'
import { type Meter, round } from './meter.ts'
import type { Protocol, Usage } from './protocols/protocol.ts'
import { RefusedAnswer, reasonOf } from './upstream-errors.ts'

/** How far a request had come when it ended. */
export type Stage = 'connect' | 'answer' | 'stream'

export type Outcome =
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
  /** Headers of the hub's own; they win over the participant's. */
  replyHeaders: OutgoingHttpHeaders
  /** Called once, right before the first byte goes to the client: from then on the response belongs to this handler. */
  onTakeOver: () => void
  /** How long the client may take nothing at all. */
  stallMs: number
  /** Called once, in the moment of the end, before the client sees it. */
  onSettled: (outcome: Outcome) => void
  /** Who failed, for the error that ends a broken stream. */
  who: string
}

const FIRST_FINAL_STATUS = 200

/** A participant's answer on its way to the client: one object a request, chunks written as they come, nothing held back. */
export class Forward implements Dispatcher.DispatchHandler {
  readonly outcome: Promise<Outcome>
  readonly #options: ForwardOptions
  readonly #settle: (outcome: Outcome) => void
  #controller: Dispatcher.DispatchController | undefined
  #statusCode = 0
  #statusMessage: string | undefined
  #headers: IncomingHttpHeaders = {}
  #isStarted = false
  #isSettled = false
  /** Why the hub itself ended the request, where it did. */
  #abortReason: Error | undefined

  constructor(options: ForwardOptions) {
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    this.#options = options
    this.outcome = promise
    this.#settle = resolve
    options.response.once('close', this.#onClose)
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
    if (statusCode < FIRST_FINAL_STATUS) return
    if (statusCode >= 300 && statusCode < 400) {
      controller.abort(new RefusedAnswer(`It answered with a redirect (${statusCode}), and redirects are not followed`))
      return
    }
    this.#statusCode = statusCode
    this.#statusMessage = statusMessage
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { meter, now, response } = this.#options
    meter.see(chunk, now())
    if (!this.#isStarted) this.#start()
    if (!response.write(chunk)) this.#waitForReader(controller)
  }

  /** While the client does not read, the participant is not read from either; who never reads is gone. */
  #waitForReader(controller: Dispatcher.DispatchController): void {
    const { response, stallMs } = this.#options
    controller.pause()
    const timer = setTimeout(() => response.destroy(), stallMs).unref()
    response.once('close', () => clearTimeout(timer))
    response.once('drain', () => {
      clearTimeout(timer)
      controller.resume()
    })
  }

  onResponseEnd(): void {
    if (!this.#isStarted) this.#start()
    // First the account, then the end: whoever sees the end finds the account closed.
    this.#finish(this.#ending())
    this.#options.response.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#isSettled) return
    const cause = this.#abortReason ?? error
    const reason = this.#abortReason?.message ?? reasonOf(error)
    const stage = this.#stage()
    this.#finish({ kind: 'failed', stage, reason, error: cause })
    if (this.#isStarted) this.#breakOff(reason)
  }

  /** The headers wait for the first byte of the body, so until then a failure can still be told by a status. */
  #start(): void {
    const { response, replyHeaders, onTakeOver } = this.#options
    this.#isStarted = true
    onTakeOver()
    const headers = { ...clientHeaders(this.#headers), ...replyHeaders }
    // A stream that breaks off gets an error frame behind it, which must not look like the rest of what was announced.
    if (isEventStream(this.#headers)) delete headers['content-length']
    if (this.#statusMessage === undefined || this.#statusMessage === '') response.writeHead(this.#statusCode, headers)
    else response.writeHead(this.#statusCode, printable(this.#statusMessage), headers)
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
    if (isEventStream(this.#headers) && isPlain && !response.writableNeedDrain) {
      const message = `${who} broke off: ${reason}`
      const frame = protocol.errorFrame({ statusCode: 502, code: 'PTL_PROXY_FAILED', message })
      // Where the stream broke off within a line, the blank one ends what is left of it.
      response.write(this.#options.meter.isAtFrameEnd ? frame : `\n\n${frame}`)
    }
    // What was written goes out first; the missing last chunk tells every HTTP client that this is not the end. Who does not
    // read, or whose connection still serves an earlier request, is cut off as it is.
    if (response.socket === null || response.writableNeedDrain) response.destroy()
    else response.socket.destroySoon()
  }

  readonly #onClose = (): void => {
    if (this.#isSettled) return
    this.#finish({ kind: 'cancelled', durationMs: round(this.#options.now() - this.#options.startedAt) })
    this.#controller?.abort(new Error('The client went away'))
  }

  #finish(outcome: Outcome): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#options.response.off('close', this.#onClose)
    this.#options.onSettled(outcome)
    this.#settle(outcome)
  }
}

function isEventStream(headers: IncomingHttpHeaders): boolean {
  const [type = ''] = single(headers['content-type'] ?? '').split(';')
  return type.trim().toLowerCase() === 'text/event-stream'
}

/** A reason phrase is free text of the other side; Node refuses to send what RFC 9112 §4 does not allow. */
function printable(text: string): string {
  return text.replace(/[^\t\x20-\x7e]/g, '?')
}
