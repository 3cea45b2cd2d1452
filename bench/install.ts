/** Brings the other gateways, once, into a cache beside the repository, each within a time. */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { adopt } from './children.ts'
import { BENCH_HOME } from './paths.ts'

/** A party that can't be had here; the message says why, as the end of "missing: …". */
export class Missing extends Error {}

const run = promisify(execFile)

const OUTPUT_BYTES = 64 * 1024 * 1024

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  readonly withinMs: number
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** @throws Missing */
export async function runWithin({ command, args, withinMs, cwd, env = {} }: Command): Promise<string> {
  try {
    const options = { timeout: withinMs, maxBuffer: OUTPUT_BYTES, env: { ...process.env, ...env } }
    const running = run(command, [...args], cwd === undefined ? options : { ...options, cwd })
    adopt(running.child)
    return (await running).stdout
  } catch (error) {
    throw new Missing(explain(`${command} ${args[0]}`, error as ExecError, withinMs))
  }
}

interface ExecError extends Error {
  code?: number | string
  killed?: boolean
  stderr?: string
}

function explain(what: string, { code, killed, stderr = '', message }: ExecError, withinMs: number): string {
  if (code === 'ENOENT') return `${what.split(' ')[0]} is not installed`
  if (killed === true) return `\`${what}\` did not end within ${withinMs / 1000} s`
  return `\`${what}\` failed: ${reasonIn(stderr === '' ? message : stderr)}`
}

/** The last line that says something, without what is only true of this machine and its network. */
export function reasonIn(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('npm notice'))
  const line =
    lines.findLast((line) => /error|fail|not |forbidden|denied/i.test(line)) ?? lines.at(-1) ?? 'no reason given'
  const plain = line.replace(/\bhttps?:\/\/\S+/g, '…').replace(/(?:^|(?<=\s))\/\S+/g, '…')
  return plain.slice(0, 200)
}

/**
 * A folder of the cache that holds what was brought: the second run finds it there.
 * @param bring fills the folder
 * @throws Missing
 */
export async function bringOnce(name: string, bring: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(BENCH_HOME, 'cache', name)
  const mark = join(folder, '.complete')
  if (existsSync(mark)) return folder
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await bring(folder)
  writeFileSync(mark, '')
  return folder
}

/** Where a command is; undefined where it is not. */
export function findCommand(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

export const isRoot = userInfo().uid === 0

/** `GOBIN` decides where the program goes, not which version. @throws Missing */
export async function goInstall(name: string, module: string, withinMs: number): Promise<string> {
  if (findCommand('go') === undefined) throw new Missing('Go is not installed')
  return bringOnce(name, async (folder) => {
    // A toolchain of another version is not downloaded for it.
    const env = { GOBIN: folder, GOTOOLCHAIN: 'local' }
    await runWithin({ command: 'go', args: ['install', module], cwd: tmpdir(), env, withinMs })
  })
}
