/** The processes of the bench; whatever happens to it, none of them outlives it. */
import { type ChildProcess, fork, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { treeOf } from './proc.ts'
import { type Remote, remote } from './rpc.ts'

const running = new Set<ChildProcess>()

/** How long a process may take to end by itself. */
const STOP_MS = 3000

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Where the process writes what it says, both ways. */
  readonly log: string
  /** Whether the process is Node, and takes calls. */
  readonly ipc?: boolean
}

export interface Child {
  readonly process: ChildProcess
  readonly pid: number
  /** First politely, so that it can write what it has to. */
  stop(): Promise<void>
}

/** What every process gets of the environment: none of the settings of whoever runs the bench. */
function cleanEnv(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '', TMPDIR } = process.env
  const kept = { PATH, HOME, LANG: 'C.UTF-8', ...(TMPDIR === undefined ? {} : { TMPDIR }) }
  return { ...kept, NO_PROXY: '127.0.0.1', ...env }
}

export function start(command: string, args: readonly string[], { env = {}, cwd, log, ipc }: StartOptions): Child {
  const out = openSync(log, 'a')
  const channel = ipc === true ? (['ipc'] as const) : []
  const options: SpawnOptions = { stdio: ['ignore', out, out, ...channel], env: cleanEnv(env) }
  return keep(spawn(command, args, cwd === undefined ? options : { ...options, cwd }))
}

function keep(child: ChildProcess): Child {
  running.add(child)
  child.once('exit', () => running.delete(child))
  // A command that is not there: whoever waits for its first answer is told by `waitFor`.
  child.on('error', () => running.delete(child))
  return { process: child, pid: child.pid ?? 0, stop: () => stop(child) }
}

/** Of a command that somebody else has started. */
export function adopt(child: ChildProcess): void {
  keep(child)
}

async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const isLate = await Promise.race([exited.then(() => false), sleep(STOP_MS, true, { ref: false })])
  if (isLate) killTree(child)
  await exited
}

/** A helper of the bench: a module of ours that takes calls. */
export function startHelper<T>(module: string, nodeOptions: readonly string[] = []): Child & { api: Remote<T> } {
  const child = keep(fork(module, { execArgv: [...nodeOptions], env: cleanEnv({}), stdio: ['ignore', 2, 2, 'ipc'] }))
  return { ...child, api: remote<T>(child.process) }
}

function killTree(child: ChildProcess): void {
  if (child.pid === undefined) return
  for (const member of treeOf(child.pid).reverse()) kill(member)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

export function killAll(): void {
  for (const child of running) killTree(child)
}

/** Also when the bench itself fails or is interrupted. */
export function killAllOnExit(): void {
  process.once('exit', killAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** @throws where the process ends, or does not answer with a success within the time */
export async function waitFor(url: string, child: Child, withinMs: number, pollMs = 50): Promise<void> {
  const until = performance.now() + withinMs
  while (performance.now() < until) {
    if (!running.has(child.process)) throw new Error('it ended instead of starting')
    if (await answers(url)) return
    await sleep(pollMs)
  }
  throw new Error(`it did not answer within ${withinMs / 1000} s`)
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
