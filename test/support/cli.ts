import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freshDirectory } from './fresh-directory.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/potluck.js', import.meta.url))

/** A command that ran on for so long does not end any more. */
const PATIENCE_MS = 30_000

export interface CliOptions {
  env?: Record<string, string>
  /** What is typed or piped in; absent: nothing, and its end. */
  input?: string
}

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  /** Standard output as NDJSON. */
  json(): Record<string, unknown>[]
}

export interface RunningCli {
  child: ChildProcess
  stdout(): string
  stderr(): string
  events(): Record<string, unknown>[]
  /** The first event, from that one on, that fits; fails where the command ends before, or patience does. */
  until(fits: (event: Record<string, unknown>) => boolean, timeoutMs?: number): Promise<Record<string, unknown>>
  ended: Promise<Ended>
}

/** Neither settings of whoever runs the tests, nor what tap puts into a process that it watches. */
export function cleanEnv(stateHome: string): NodeJS.ProcessEnv {
  const isForeign = (name: string) => /^(POTLUCK_|PORT$|HOST$|OLLAMA_|NODE_OPTIONS$|TAP|XDG_|.*_proxy$)/i.test(name)
  const kept = Object.entries(process.env).filter(([name]) => !isForeign(name))
  return { ...Object.fromEntries(kept), XDG_STATE_HOME: stateHome, NO_COLOR: '1' }
}

/** A machine of its own: where the tokens of the commands that run on it are kept. */
export function machine(t: Test) {
  const stateHome = freshDirectory(t)
  return {
    stateHome,
    start: (args: readonly string[], options?: CliOptions) => startCli(t, stateHome, args, options),
    run: (args: readonly string[], options?: CliOptions) => startCli(t, stateHome, args, options).ended,
  }
}

export type Machine = ReturnType<typeof machine>

function startCli(
  t: Test,
  stateHome: string,
  args: readonly string[],
  { env = {}, input }: CliOptions = {},
): RunningCli {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...cleanEnv(stateHome), ...env },
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS * 4)
  t.teardown(() => {
    clearTimeout(timer)
    child.kill('SIGKILL')
  })
  child.stdin?.on('error', () => {}).end(input)
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const events = () => readLines(said.stdout)
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    clearTimeout(timer)
    return { code, signal, ...said, json: events }
  })
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    events,
    until: untilOf(child, said, ended),
    ended,
  }
}

function untilOf(child: ChildProcess, said: { stdout: string; stderr: string }, ended: Promise<Ended>) {
  return async (fits: (event: Record<string, unknown>) => boolean, timeoutMs = PATIENCE_MS) => {
    const signal = AbortSignal.timeout(timeoutMs)
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    for (;;) {
      const found = readLines(said.stdout).find(fits)
      if (found !== undefined) return found
      if (isOver || signal.aborted) throw new Error(`no such event: ${said.stdout}${said.stderr}`)
      await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data', { signal }), ended]).catch(() => {})
    }
  }
}

function readLines(text: string): Record<string, unknown>[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** Of `joined`, `state` and the like. */
export function is(event: string, fields: Record<string, unknown> = {}) {
  return (seen: Record<string, unknown>) =>
    seen.event === event && Object.entries(fields).every(([key, value]) => seen[key] === value)
}

/** Looks again and again until it holds; a failure says what was seen last. */
export async function eventually<T>(look: () => Promise<T> | T, holds: (seen: T) => boolean, timeoutMs = PATIENCE_MS) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (holds(seen)) return seen
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms; last seen: ${JSON.stringify(seen)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
