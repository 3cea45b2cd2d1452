/** What Linux tells about a process and its children, read from outside. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'

/** What `sysconf(_SC_CLK_TCK)` says on every Linux of today. */
const TICKS_PER_SECOND = 100

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The process has ended meanwhile.
    return undefined
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** The fields behind the name, which may hold anything: `state` is the first (proc_pid_stat(5)). */
function statOf(pid: number): string[] {
  const text = read(`/proc/${pid}/stat`) ?? ''
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** The process and all its descendants: a server may have workers. */
export function treeOf(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of list('/proc').filter((name) => /^\d+$/.test(name))) {
    const parent = Number(statOf(Number(name))[1])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const tree = [pid]
  for (const member of tree) tree.push(...(children.get(member) ?? []))
  return tree
}

/** CPU time that the process and its descendants have used so far, ms. */
export function cpuMs(pid: number): number {
  return sum(treeOf(pid).map((member) => finelyMs(member) ?? tickedMs(member)))
}

/** To the nanosecond, where the kernel keeps such statistics; of threads that still run, as those of servers do. */
function finelyMs(pid: number): number | undefined {
  const threads = list(`/proc/${pid}/task`).map((thread) => read(`/proc/${pid}/task/${thread}/schedstat`))
  const times = threads.map((text) => Number(text?.split(' ')[0] ?? Number.NaN) / 1e6)
  const total = sum(times)
  return total > 0 ? total : undefined
}

function tickedMs(pid: number): number {
  const [user = 0, system = 0] = statOf(pid).slice(11, 13).map(Number)
  return ((user + system) * 1000) / TICKS_PER_SECOND
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function statusBytes(pid: number, field: string): number {
  const [, kilobytes = '0'] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/status`) ?? '') ?? []
  return Number(kilobytes) * 1024
}

export function rssBytes(pid: number): number {
  return sum(treeOf(pid).map((member) => statusBytes(member, 'VmRSS')))
}

/** The most that the process has had since `forgetPeak`. */
export function peakRssBytes(pid: number): number {
  return sum(treeOf(pid).map((member) => statusBytes(member, 'VmHWM')))
}

/** proc_pid_clear_refs(5): 5 sets the peak to what the process has now. */
export function forgetPeak(pid: number): void {
  for (const member of treeOf(pid)) writeFileSync(`/proc/${member}/clear_refs`, '5')
}

export function socketCount(pid: number): number {
  const targets = list(`/proc/${pid}/fd`).map((name) => linkOf(`/proc/${pid}/fd/${name}`))
  return targets.filter((target) => target.startsWith('socket:')).length
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/** How many files and sockets a process of ours may have open. */
export function openFilesLimit(): number {
  const [, limit = '1024'] = /^Max open files\s+\S+\s+(\d+)/m.exec(read('/proc/self/limits') ?? '') ?? []
  return Number(limit)
}
