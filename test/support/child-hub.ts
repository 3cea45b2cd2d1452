import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { ownPort } from './ports.ts'

const LAUNCHER = fileURLToPath(new URL('../../bin/potluck.js', import.meta.url))

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface ChildHub {
  child: ChildProcess
  exited: Promise<Exit>
  /** What it has logged so far. */
  log(): string
}

/**
 * `potluck serve` as its user starts it; ended with the test.
 * @param within a command that becomes the one behind it
 */
export function spawnHub(
  t: Test,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
  within: readonly string[] = [],
): ChildHub {
  const [command = '', ...args] = [...within, process.execPath, LAUNCHER, 'serve', ...flags]
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnv(), ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
    })
  }
  const exited = once(child, 'close').then(([code, signal]): Exit => ({ code, signal, ...said }))
  return { child, exited, log: () => said.stdout }
}

/** Neither settings of whoever runs the tests, nor what tap puts into a process that it watches. */
function cleanEnv(): NodeJS.ProcessEnv {
  const isForeign = (name: string) => /^(POTLUCK_|PORT$|HOST$|NODE_OPTIONS$|TAP)/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)))
}

/** A hub in a process of its own, on a free port of the loopback, that listens. */
export async function startChildHub(t: Test, flags: readonly string[] = []): Promise<ChildHub & { url: string }> {
  const hub = spawnHub(t, ['--host', '127.0.0.1', '--port', String(await ownPort()), ...flags])
  for (;;) {
    const [, url] = /"url":"(http[^"]+)"/.exec(hub.log()) ?? []
    if (url !== undefined) return { ...hub, url }
    const heard = once(hub.child.stdout as NodeJS.ReadableStream, 'data').then(() => undefined)
    const exit = await Promise.race([heard, hub.exited])
    if (exit !== undefined) throw new Error(`the hub ended with ${exit.code} instead of starting: ${exit.stderr}`)
  }
}
