import type { AgentEvent, State } from '../agent/events.ts'
import type { Membership } from '../agent/membership.ts'
import { called } from './invocation.ts'
import { countOf } from './options.ts'
import { oneLine, printJson } from './output.ts'

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
  /** What has just joined is online: that is not told once more. */
  const joined = new Set<string>()
  /** Codes of the rooms, by participant. */
  const codes = new Map<string, string>()
  let memberships: readonly Membership[] = []
  let timer: NodeJS.Timeout | undefined
  let drawn = ''

  const draw = (isForced = false) => {
    if (timer === undefined) return
    const line = oneLine(statusLine(memberships)).slice(0, Math.max((stdout.columns ?? 80) - 1, 20))
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
      const isKnown = event.event === 'state' && event.state === 'online' && joined.has(event.participantId)
      const lines = isKnown ? [] : sentencesOf(event, codes.get(event.participantId))
      if (event.event === 'joined') {
        joined.add(event.participantId)
        codes.set(event.participantId, event.room.code)
      } else if (event.event === 'state') joined.delete(event.participantId)
      for (const line of lines) say(oneLine(line))
      if (lines.length === 0) draw()
    },
    notice: (message) => say(oneLine(message)),
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

function sentencesOf(event: AgentEvent, code: string | undefined): string[] {
  const { participantId: id } = event
  switch (event.event) {
    case 'joined':
      return [
        `Joined ${event.room.name} (${event.room.code}) as ${id} with ${listed(event.models)}. OpenAI base URL: ${event.baseUrl}`,
      ]
    case 'models':
      return [...event.added.map((model) => `${id}: + ${model}`), ...event.removed.map((model) => `${id}: - ${model}`)]
    case 'state':
      return [
        `${id} is ${STATES[event.state]}${event.reason === undefined ? '' : `: ${event.reason}`}${adviceFor(event.state, code)}`,
      ]
    case 'notice':
      return [`${id}: ${event.message}`]
    case 'left':
      return [event.message === undefined ? `${id} has left` : `${id}: ${event.message}`]
    default:
      return []
  }
}

/** Where it takes somebody to go on. */
function adviceFor(state: State, code: string | undefined): string {
  if (state !== 'waiting' || code === undefined) return ''
  return `. It joins by itself once somebody opens it again: \`${called(`create NAME --code ${code}`)}\``
}

/** Names that one line shows. */
const MAX_LISTED = 5

function listed(models: readonly string[]): string {
  const more = models.length - MAX_LISTED
  return models.slice(0, MAX_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function statusLine(memberships: readonly Membership[]): string {
  const served = memberships.map((each) => each.served())
  const sum = (key: 'requests' | 'running' | 'tokensPerSecond') =>
    served.reduce((total, each) => total + (Number(each[key]) || 0), 0)
  const running = sum('running')
  const parts = [
    [...new Set(memberships.map(({ state }) => STATES[state]))].join(', '),
    `${countOf(sum('requests'), 'request')} served`,
    `${running} running`,
    // How fast the last one was says nothing of now.
    ...(running > 0 ? [`${sum('tokensPerSecond').toFixed(1)} tokens/s`] : []),
    keysFor(memberships),
  ]
  return parts.join(' · ')
}

function keysFor(memberships: readonly Membership[]): string {
  const areAll = (wanted: State) => memberships.every(({ state }) => state === wanted)
  if (areAll('leaving')) return '[Ctrl-C] end at once'
  return areAll('paused') ? '[p] resume  [q] leave' : '[p] pause  [q] leave'
}
