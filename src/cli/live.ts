import type { AgentEvent, State } from '../agent/events.ts'
import type { Membership } from '../agent/membership.ts'
import { countOf } from './options.ts'
import { printable, printJson } from './output.ts'

/** Shows what happens to the participants of this process. */
export interface View {
  event(event: AgentEvent): void
  notice(message: string): void
  /** Once all have joined: keys work from here on. */
  start(memberships: readonly Membership[]): void
  close(): void
}

export interface Keys {
  pause(): void
  leave(): void
}

/** One object a line, for programs. */
export function jsonView(): View {
  const print = (event: object) => printJson({ time: new Date().toISOString(), ...event })
  return {
    event: print,
    notice: (message) => print({ event: 'notice', message }),
    start: () => {},
    close: () => {},
  }
}

const STATES: Readonly<Record<State, string>> = {
  online: 'online',
  paused: 'paused',
  reconnecting: 'reconnecting',
  waiting: 'waiting for the room',
  away: 'waiting for the LLM server',
  leaving: 'leaving',
}

const REDRAW_MS = 1000
const CLEAR_LINE = '\r\u001B[2K'
const CTRL_C = '\u0003'
const CTRL_Z = '\u001A'

/** What happened stays; below it one line says how it stands. */
export function liveView(keys: Keys): View {
  const { stdout, stdin } = process
  const figures = new Map<string, { requests: number; running: number; tokensPerSecond?: number }>()
  let memberships: readonly Membership[] = []
  let timer: NodeJS.Timeout | undefined
  let drawn = ''

  const draw = (isForced = false) => {
    if (timer === undefined) return
    const line = statusLine(memberships, figures).slice(0, Math.max((stdout.columns ?? 80) - 1, 20))
    if (line === drawn && !isForced) return
    drawn = line
    stdout.write(CLEAR_LINE + line)
  }
  const say = (line: string) => {
    stdout.write(`${timer === undefined ? '' : CLEAR_LINE}${line}\n`)
    draw(true)
  }
  const onKey = (key: string) => {
    if (key === 'p') keys.pause()
    else if (key === 'q' || key === CTRL_C) keys.leave()
    else if (key === CTRL_Z) process.kill(process.pid, 'SIGTSTP')
  }
  const raw = (isRaw: boolean) => {
    if (stdin.isTTY) stdin.setRawMode(isRaw)
  }
  const onContinue = () => {
    raw(true)
    draw(true)
  }

  return {
    event(event) {
      if (event.event === 'served') figures.set(event.participantId, event)
      const line = sentenceOf(event)
      if (line !== undefined) say(printable(line))
      else draw()
    },
    notice: (message) => say(printable(message)),
    start(all) {
      memberships = all
      timer = setInterval(draw, REDRAW_MS)
      // A question that was asked before has left it paused, and in raw mode not even Ctrl-C would be heard.
      stdin.setEncoding('utf8').on('data', onKey).resume()
      process.on('SIGCONT', onContinue)
      raw(true)
      draw(true)
    },
    close() {
      if (timer === undefined) return
      clearInterval(timer)
      timer = undefined
      raw(false)
      stdin.off('data', onKey).pause()
      process.off('SIGCONT', onContinue)
      stdout.write(CLEAR_LINE)
    },
  }
}

function sentenceOf(event: AgentEvent): string | undefined {
  const { participantId: id } = event
  switch (event.event) {
    case 'joined':
      return `Joined ${event.room.name} (${event.room.code}) as ${id} with ${listed(event.models)}. OpenAI base URL: ${event.baseUrl}`
    case 'models':
      return [
        ...event.added.map((model) => `${id}: + ${model}`),
        ...event.removed.map((model) => `${id}: - ${model}`),
      ].join('\n')
    case 'state':
      return event.reason === undefined
        ? `${id} is ${STATES[event.state]}`
        : `${id} is ${STATES[event.state]}: ${event.reason}`
    case 'notice':
      return `${id}: ${event.message}`
    case 'left':
      return event.message === undefined ? `${id} has left` : `${id}: ${event.message}`
    default:
      return undefined
  }
}

/** Names that one line shows. */
const MAX_LISTED = 5

function listed(models: readonly string[]): string {
  const more = models.length - MAX_LISTED
  return models.slice(0, MAX_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function statusLine(
  memberships: readonly Membership[],
  figures: ReadonlyMap<string, { requests: number; running: number; tokensPerSecond?: number }>,
): string {
  const all = memberships.map((each) => ({
    ...figures.get(each.id),
    ...each.served(),
    running: each.running() ?? figures.get(each.id)?.running ?? 0,
  }))
  const sum = (key: 'requests' | 'running' | 'tokensPerSecond') =>
    all.reduce((total, each) => total + (each[key] ?? 0), 0)
  const states = [...new Set(memberships.map(({ state }) => STATES[state]))].join(', ')
  const isPaused = memberships.every(({ state }) => state === 'paused')
  const parts = [
    states,
    `${countOf(sum('requests'), 'request')} served`,
    `${sum('running')} running`,
    `${sum('tokensPerSecond').toFixed(1)} tokens/s`,
    isPaused ? '[p] resume  [q] leave' : '[p] pause  [q] leave',
  ]
  return parts.join(' · ')
}
