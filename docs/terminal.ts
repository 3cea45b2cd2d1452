import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** The clone: where the README's reader types. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PATIENCE_MS = 30_000

const ENVIRONMENT = {
  ...process.env,
  // The hub stays on this machine: no LAN, no proxy. npm's own talk is about the machine, too.
  HOST: '127.0.0.1',
  NO_PROXY: 'localhost,127.0.0.1',
  no_proxy: 'localhost,127.0.0.1',
  npm_config_loglevel: 'silent',
}

export interface Terminal {
  name: string
  child: ChildProcess
  output: string
  closed: Promise<unknown>
}

const opened: Terminal[] = []

/** Types a command into a new terminal: a process group of its own, so that a loop ends with all that it started. */
export function type(name: string, command: string): Terminal {
  const script = `exec 2>&1\n${command}`
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  const child = spawn('bash', ['-c', script], { cwd: ROOT, env: ENVIRONMENT, detached: true, stdio: [...stdio] })
  const terminal = { name, child, output: '', closed: once(child, 'close') }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    terminal.output += text
  })
  opened.push(terminal)
  return terminal
}

/** Resolves when all of the patterns have appeared; fails where the command ends, or patience does, before. */
export async function shown(terminal: Terminal, patterns: RegExp[]): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const missing = () => patterns.find((pattern) => !pattern.test(terminal.output))
  let isOver = false
  terminal.closed.then(() => {
    isOver = true
  })
  while (missing() !== undefined && !isOver && !signal.aborted) {
    await Promise.race([once(terminal.child.stdout as Readable, 'data', { signal }), terminal.closed]).catch(() => {})
  }
  if (missing() !== undefined) throw new Error(`${terminal.name}: no ${missing()} in\n${terminal.output}`)
}

/** Resolves when the command has ended well. */
export async function finished(terminal: Terminal): Promise<void> {
  const timer = setTimeout(() => end(terminal), PATIENCE_MS)
  await terminal.closed
  clearTimeout(timer)
  const { exitCode } = terminal.child
  if (exitCode !== 0) throw new Error(`${terminal.name}: ended with ${exitCode ?? 'a signal'}\n${terminal.output}`)
}

function end({ child }: Terminal): void {
  try {
    process.kill(-(child.pid as number), 'SIGKILL')
  } catch {
    // All of it has ended by itself.
  }
}

export function endAll(): void {
  for (const terminal of opened) end(terminal)
}
